//! From the pipeline's thread to whoever takes frames: times that grow, a channel that is never full for a live source.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, select};
use gst_video::{VideoFrame, VideoInfo};

use super::super::decoded::DecodedFrame;
use super::shape::Shape;
use super::source::{Event, LiveFrame, SourceCounters};
use crate::clock::Clock;
use crate::error::{Error, Result};

/// Frames that wait of a live source; a fourth pushes the oldest out.
const LIVE_FRAMES: usize = 3;
/// Frames that wait where nothing may be lost; then the decoder waits.
const LOSSLESS_FRAMES: usize = 4;
/// Events that wait. The last places are kept for the one that ends the source.
const EVENTS: usize = 16;
/// A frame's duration, where nothing tells.
const USUAL: Duration = Duration::from_millis(40);
/// What is shorter is no frame's duration: of the last frame decoders now and then say one tick of some clock.
const SHORTEST: Duration = Duration::from_millis(1);
/// Times that run back by less are repaired one by one; by more, a new count has begun, and it goes on where the old one was.
const NEW_COUNT: Duration = Duration::from_secs(1);

/// Where frames and events go.
pub(super) struct Delivery {
    frames: Sender<LiveFrame>,
    /// The other end, to take the oldest out.
    waiting: Receiver<LiveFrame>,
    events: Sender<Event>,
    /// Says nothing, and is closed when nobody wants frames any more.
    halted: Receiver<()>,
    lossless: bool,
    clock: Clock,
    counters: SourceCounters,
    came: AtomicU64,
    state: Mutex<State>,
}

struct State {
    stopped: bool,
    shape: Option<Arc<Shape>>,
    times: Times,
}

/// The other ends.
pub(super) struct Ends {
    pub frames: Receiver<LiveFrame>,
    pub events: Receiver<Event>,
    /// Dropped to end every wait.
    pub halt: Sender<()>,
}

impl Delivery {
    pub fn new(shape: Option<&Shape>, lossless: bool, clock: &Clock, counters: SourceCounters) -> (Arc<Self>, Ends) {
        let (frames, waiting) = crossbeam_channel::bounded(if lossless { LOSSLESS_FRAMES } else { LIVE_FRAMES });
        let (events, heard) = crossbeam_channel::bounded(EVENTS);
        let (halt, halted) = crossbeam_channel::bounded(0);
        let ends = Ends { frames: waiting.clone(), events: heard, halt };
        let state = State { stopped: false, shape: shape.cloned().map(Arc::new), times: Times::default() };
        let delivery = Delivery {
            frames,
            waiting,
            events,
            halted,
            lossless,
            clock: clock.clone(),
            counters,
            came: AtomicU64::new(0),
            state: Mutex::new(state),
        };
        (Arc::new(delivery), ends)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The shape of every frame, once it is known.
    pub fn shape(&self) -> Option<Arc<Shape>> {
        self.lock().shape.clone()
    }

    /// The shape, which is that of this video if there is none yet.
    pub fn shape_or(&self, video: &VideoInfo) -> Result<Arc<Shape>> {
        let mut state = self.lock();
        if let Some(shape) = &state.shape {
            return Ok(Arc::clone(shape));
        }
        let shape = Arc::new(Shape::of_video(video)?);
        state.shape = Some(Arc::clone(&shape));
        Ok(shape)
    }

    /// Closed when nobody wants frames any more.
    pub fn halted(&self) -> &Receiver<()> {
        &self.halted
    }

    /// No frame is counted or handed out after this. The other end of `halted` is dropped before, so that no frame waits for room.
    pub fn stop(&self) {
        self.lock().stopped = true;
    }

    /// Another pipeline of the same source begins: its first frame follows the last one of the pipeline before. The end of that one is
    /// the answer, with the running time at which the very first began.
    pub fn begin_anew(&self) -> (Duration, Duration) {
        self.came.store(0, Ordering::Relaxed);
        self.lock().times.begin_anew()
    }

    /// Frames that came since the last pipeline began, whether or not anybody took them. Does not wait for one that waits for room.
    pub fn frames_of_round(&self) -> u64 {
        self.came.load(Ordering::Relaxed)
    }

    /// Whether there is no room for a frame until somebody takes one.
    pub fn is_full(&self) -> bool {
        self.frames.is_full()
    }

    pub fn tell(&self, event: Event) {
        // Whoever does not listen is not told. A source that changes all the time must not take the room of its end.
        if !matches!(event, Event::Changed { .. }) || self.events.len() < EVENTS - 2 {
            let _ = self.events.try_send(event);
        }
    }

    /// Hands a sample out. False: nobody wants it.
    pub fn push(&self, sample: &gst::Sample) -> Result<bool> {
        let Some(buffer) = sample.buffer_owned() else { return Ok(true) };
        let caps = sample.caps().ok_or_else(|| Error::runtime("a frame came without caps"))?;
        let video = VideoInfo::from_caps(caps).map_err(|error| Error::runtime(format!("caps that say no size: {error}")))?;
        let shape = self.shape_or(&video)?;
        let running = sample.segment().and_then(|segment| segment.downcast_ref::<gst::ClockTime>()?.to_running_time(buffer.pts()));
        let claimed = buffer.duration().map(Duration::from);
        let frame = VideoFrame::from_buffer_readable(buffer, &video).map_err(|_| Error::runtime("a decoded frame cannot be read"))?;
        let mut state = self.lock();
        if state.stopped {
            return Ok(false);
        }
        self.came.fetch_add(1, Ordering::Relaxed);
        let (pts, duration) = state.times.next(running.map(Duration::from), claimed, shape.frame_rate);
        let frame = DecodedFrame::new(pts, duration, shape.picture, frame);
        Ok(self.send(LiveFrame { frame, decoded: self.clock.now(), shape }))
    }

    /// With the state locked, so that counts are final once [`Delivery::stop`] is through.
    fn send(&self, mut frame: LiveFrame) -> bool {
        if self.lossless {
            select! {
                send(self.frames, frame) -> sent => if sent.is_ok() { self.counters.decoded.inc() },
                recv(self.halted) -> _ => return false,
            }
            return true;
        }
        self.counters.decoded.inc();
        while let Err(refused) = self.frames.try_send(frame) {
            frame = match refused {
                TrySendError::Full(frame) | TrySendError::Disconnected(frame) => frame,
            };
            // Somebody may have taken it meanwhile; then there is room.
            if self.waiting.try_recv().is_ok() {
                self.counters.dropped.inc();
            }
        }
        true
    }
}

/// Makes running times of pipelines a row that grows.
#[derive(Debug, Default)]
struct Times {
    /// Running time of the first frame of all.
    first: Option<Duration>,
    /// Of the last frame: its time and its duration.
    last: Option<(Duration, Duration)>,
    /// What is added to running times, in nanoseconds; it is negative where a later pipeline begins at a later time than its place.
    shift_ns: i64,
    /// The next frame's place is after the last one, whatever it says.
    anew: bool,
}

impl Times {
    fn end(&self) -> Duration {
        self.last.map_or(Duration::ZERO, |(pts, duration)| pts + duration)
    }

    fn begin_anew(&mut self) -> (Duration, Duration) {
        self.anew = true;
        (self.end(), self.first.unwrap_or_default())
    }

    /// Time and duration of a frame. `running` is missing where the decoder knows no time.
    fn next(&mut self, running: Option<Duration>, claimed: Option<Duration>, rate: Option<(u32, u32)>) -> (Duration, Duration) {
        let at_rate = || rate.map(|(n, d)| Duration::from_secs_f64(f64::from(d) / f64::from(n)));
        let usable = claimed.filter(|&claimed| claimed >= SHORTEST);
        let duration = usable.or_else(at_rate).or(self.last.map(|(_, duration)| duration)).unwrap_or(USUAL);
        let place = self.end();
        let Some((last, _)) = self.last else {
            let pts = running.unwrap_or_default();
            (self.first, self.last, self.anew) = (Some(pts), Some((pts, duration)), false);
            return (pts, duration);
        };
        let shifted = running.map(|running| running.as_nanos() as i64 + self.shift_ns);
        let pts = match shifted {
            None => place,
            Some(ns) if self.anew || ns + (NEW_COUNT.as_nanos() as i64) < last.as_nanos() as i64 => {
                self.shift_ns += place.as_nanos() as i64 - ns;
                place
            }
            // Broken streams repeat times or run backwards; encoders take neither.
            Some(ns) => Duration::from_nanos(ns.max(0) as u64).max(last + SHORTEST),
        };
        // A frame without a time does not say where the others of its pipeline are.
        self.anew &= shifted.is_none();
        self.last = Some((pts, duration));
        (pts, duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(times: &mut Times, running_ms: &[Option<u64>]) -> Vec<u128> {
        let ms = Duration::from_millis;
        running_ms.iter().map(|running| times.next(running.map(ms), Some(ms(40)), None).0.as_millis()).collect()
    }

    #[test]
    fn times_grow_whatever_comes() {
        let mut times = Times::default();
        assert_eq!(row(&mut times, &[Some(500), Some(540), Some(540), Some(530), None, Some(660)]), [500, 540, 541, 542, 582, 660]);
        // A gap stays a gap; a count that begins again goes on from the last frame at its own pace.
        assert_eq!(row(&mut times, &[Some(5000), Some(10), Some(50), Some(100)]), [5000, 5040, 5080, 5130]);
    }

    #[test]
    fn a_pipeline_that_begins_anew_follows_the_one_before() {
        let mut times = Times::default();
        assert_eq!(row(&mut times, &[Some(80), Some(120)]), [80, 120]);
        assert_eq!(times.begin_anew(), (Duration::from_millis(160), Duration::from_millis(80)));
        assert_eq!(row(&mut times, &[Some(80), Some(120)]), [160, 200]);
        times.begin_anew();
        assert_eq!(row(&mut times, &[None, Some(700), Some(740)]), [240, 280, 320]);
    }

    #[test]
    fn durations_come_from_the_frame_or_the_rate_or_the_frame_before() {
        let ms = Duration::from_millis;
        let mut times = Times::default();
        assert_eq!(times.next(Some(ms(0)), None, None).1, USUAL);
        assert_eq!(times.next(Some(ms(40)), Some(Duration::from_nanos(1)), Some((20, 1))).1, ms(50));
        assert_eq!(times.next(Some(ms(90)), None, None).1, ms(50));
        assert_eq!(times.next(Some(ms(140)), Some(ms(20)), Some((20, 1))).1, ms(20));
    }
}
