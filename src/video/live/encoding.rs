//! The encoder of an output: frames in, packets out, one at a time.
//!
//! Frames wait here and not in GStreamer, so that the oldest can be thrown away; the encoder's thread takes the next when it is free.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gst::prelude::*;
use gst_video::{UpstreamForceKeyUnitEvent, VideoFrame, VideoInfo};

use super::Passage;
use super::packets::Packet;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::frame::PictureInfo;
use crate::telemetry::{Counter, Histogram};
use crate::video::launch::{find, pipeline};
use crate::video::output::OutputFrame;
use crate::video::sink::pool_of;
use crate::video::watch::{Running, STALL};

/// Frames that wait for an encoder that is behind at most.
const WAITING_FRAMES: usize = 2;
/// An encoder is behind when a frame has waited for it for so long. Frames that waited for an explanation come in one go when it is there, or
/// is given up: several wait for a moment then, and none is lost.
const BEHIND: Duration = Duration::from_millis(100);
/// Frames that wait in any case at most.
const MOST_FRAMES: usize = 16;
/// A live encoder that is busy with one frame for so long hangs.
const HANG: Duration = Duration::from_secs(10);
/// How long one wait lasts; between two the pipeline's faults are looked at.
const TICK: Duration = Duration::from_millis(100);
/// Key frames that are asked for come at most so often.
const KEYS_APART: Duration = Duration::from_millis(200);

/// What an encoder is to do.
pub(super) struct Plan<'a> {
    /// The pipeline's text.
    pub text: &'a str,
    /// The encoder with its properties.
    pub encoder: &'a str,
    /// Of the frames, coded.
    pub caps: &'a gst::Caps,
    /// Of the frames, shown.
    pub picture: PictureInfo,
    /// The stream's time between key frames at most.
    pub key_interval: Duration,
    /// Frames that were thrown away.
    pub dropped: Counter,
    /// Decoded to encoded.
    pub latency: Histogram,
    pub encode: Histogram,
    pub clock: Clock,
}

/// A running encoder.
pub(super) struct Encoding {
    running: Arc<Running>,
    frames: gst_app::AppSrc,
    intake: Arc<Intake>,
    pool: gst_video::VideoBufferPool,
    coded: VideoInfo,
    picture: PictureInfo,
}

/// Asks the encoder for a key frame.
#[derive(Clone)]
pub(super) struct KeyRequest(Arc<Intake>);

/// Frames before the encoder and in it.
struct Intake {
    state: Mutex<State>,
    changed: Condvar,
    /// The encoder's pad that hears requests for key frames.
    encoder: gst::Pad,
    key_interval: Duration,
    dropped: Counter,
    latency: Histogram,
    encode: Histogram,
    clock: Clock,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// The encoder's thread waits for a frame.
    hungry: bool,
    /// No frame comes any more.
    ending: bool,
    key_wanted: bool,
    last_key: Option<Duration>,
    /// When the next one is due that nobody asks for.
    key_due: Duration,
    /// When the last frame was taken, or the encoder began.
    taken_at: Duration,
    taken: u64,
    encoded: u64,
    /// Frames in the encoder.
    inside: VecDeque<Inside>,
}

#[derive(Clone, Copy)]
struct Inside {
    pts: Duration,
    duration: Option<Duration>,
    /// When it was decoded; a plate was not.
    decoded: Option<Duration>,
    taken_at: Duration,
}

struct Waiting {
    buffer: gst::Buffer,
    since: Duration,
    pts: Duration,
    duration: Option<Duration>,
    passage: Option<Passage>,
}

impl Intake {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the encoder its next frame, if it waits for one and there is one.
    fn feed(&self, state: &mut State, frames: &gst_app::AppSrc) {
        if !state.hungry {
            return;
        }
        let Some(next) = state.waiting.pop_front() else {
            if state.ending {
                let _ = frames.end_of_stream();
            }
            return;
        };
        state.hungry = false;
        state.taken += 1;
        state.taken_at = self.clock.now();
        let since_key = state.last_key.map(|last| next.pts.saturating_sub(last));
        let is_due = since_key.is_none() || next.pts >= state.key_due;
        if is_due || state.key_wanted && since_key.is_some_and(|since| since >= KEYS_APART) {
            // The first frame is one anyway; asking for it does no harm.
            let event = UpstreamForceKeyUnitEvent::builder().all_headers(true).build();
            self.encoder.send_event(event);
            state.key_wanted = false;
            state.last_key = Some(next.pts);
            // Those that are asked for come between, so that segments stay of one length.
            if is_due {
                let is_late = since_key.is_none() || next.pts >= state.key_due + self.key_interval;
                state.key_due = self.key_interval + if is_late { next.pts } else { state.key_due };
            }
        }
        let decoded = next.passage.as_ref().map(|passage| passage.decoded);
        let taken_at = state.taken_at;
        state.inside.push_back(Inside { pts: next.pts, duration: next.duration, decoded, taken_at });
        if let Some(passage) = next.passage {
            passage.outcome.inc();
        }
        // Refused only by a pipeline that failed or stops, which its watch tells.
        let _ = frames.push_buffer(next.buffer);
        self.changed.notify_all();
    }

    /// A frame came out at `pts`: what was known of it when it went in. Frames from before it never come.
    fn came_out(&self, pts: Duration, key: bool) -> Option<Duration> {
        let mut state = self.lock();
        state.encoded += 1;
        if key {
            state.last_key = state.last_key.max(Some(pts));
        }
        while state.inside.front().is_some_and(|inside| inside.pts < pts) {
            state.inside.pop_front();
        }
        let Inside { duration, decoded, taken_at, .. } = state.inside.front().copied().filter(|inside| inside.pts == pts)?;
        state.inside.pop_front();
        let now = self.clock.now();
        self.encode.observe_span(now.saturating_sub(taken_at));
        if let Some(decoded) = decoded {
            self.latency.observe_span(now.saturating_sub(decoded));
        }
        duration
    }
}

impl KeyRequest {
    /// The next frame that is taken becomes a key frame, unless one was a moment ago; then a later one does.
    pub fn ask(&self) {
        self.0.lock().key_wanted = true;
    }
}

impl Encoding {
    /// Starts an encoder; `deliver` gets each packet, on the encoder's thread.
    pub fn start(plan: &Plan<'_>, mut deliver: impl FnMut(Packet) + Send + 'static) -> Result<Encoding> {
        let coded = VideoInfo::from_caps(plan.caps).map_err(|error| Error::runtime(format!("no caps for the encoder: {error}")))?;
        let running = Arc::new(Running::new(pipeline(plan.text, &[("encoder", plan.encoder)])?));
        let frames: gst_app::AppSrc = find(&running.pipeline, "frames")?;
        frames.set_caps(Some(plan.caps));
        let encoder: gst::Element = find(&running.pipeline, "encoder")?;
        let intake = Arc::new(Intake {
            state: Mutex::new(State { taken_at: plan.clock.now(), ..State::default() }),
            changed: Condvar::new(),
            encoder: encoder.static_pad("src").expect("an encoder has a source pad"),
            key_interval: plan.key_interval,
            dropped: plan.dropped.clone(),
            latency: plan.latency.clone(),
            encode: plan.encode.clone(),
            clock: plan.clock.clone(),
        });
        let feeds = Arc::clone(&intake);
        let hungry = move |frames: &gst_app::AppSrc, _| {
            let mut state = feeds.lock();
            state.hungry = true;
            feeds.feed(&mut state, frames);
        };
        frames.set_callbacks(gst_app::AppSrcCallbacks::builder().need_data(hungry).build());
        let counts = Arc::clone(&intake);
        let new_sample = move |packets: &gst_app::AppSink| {
            let sample = packets.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            if let Some(packet) = packet(&sample, |pts, key| counts.came_out(pts, key)) {
                deliver(packet);
            }
            Ok(gst::FlowSuccess::Ok)
        };
        let packets: gst_app::AppSink = find(&running.pipeline, "packets")?;
        packets.set_callbacks(gst_app::AppSinkCallbacks::builder().new_sample(new_sample).build());
        running.set_state(gst::State::Playing)?;
        let pool = pool_of(plan.caps, &coded)?;
        Ok(Encoding { running, frames, intake, pool, coded, picture: plan.picture })
    }

    /// An empty frame to fill. Its samples are whatever an earlier one left.
    pub fn buffer(&mut self) -> Result<OutputFrame> {
        let buffer = self.pool.acquire_buffer(None).map_err(|error| Error::runtime(format!("no memory for a frame: {error}")))?;
        let frame =
            VideoFrame::from_buffer_writable(buffer, &self.coded).map_err(|_| Error::runtime("a frame's memory cannot be written"))?;
        Ok(OutputFrame::new(frame, self.picture))
    }

    /// Puts a frame behind those that wait. See [`Output::push`](super::Output::push).
    pub fn push(
        &self,
        mut buffer: gst::Buffer,
        (pts, duration): (Duration, Option<Duration>),
        passage: Option<Passage>,
        lossless: bool,
    ) -> Result<()> {
        let time = gst::ClockTime::try_from(pts).map_err(|error| Error::runtime(error.to_string()))?;
        // A preview may have the buffer too: then this is another head of the same memory.
        let writable = buffer.make_mut();
        writable.set_pts(time);
        writable.set_dts(gst::ClockTime::NONE);
        writable.set_duration(duration.and_then(|span| gst::ClockTime::try_from(span).ok()));
        let mut state = self.intake.lock();
        let mut quiet = Duration::ZERO;
        let mut taken = state.taken;
        while lossless && state.waiting.len() >= WAITING_FRAMES {
            self.failed()?;
            if quiet >= STALL {
                return Err(Error::runtime(format!("the encoder took no frame for {} seconds", STALL.as_secs())));
            }
            state = self.intake.changed.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner).0;
            quiet = if state.taken == taken { quiet + TICK } else { Duration::ZERO };
            taken = state.taken;
        }
        let now = self.intake.clock.now();
        let busy = now.saturating_sub(state.taken_at);
        if !lossless && !state.hungry && busy > HANG {
            return Err(Error::runtime(format!("the encoder hangs: it is busy with one frame for {} seconds", busy.as_secs())));
        }
        self.failed()?;
        state.waiting.push_back(Waiting { buffer, since: now, pts, duration, passage });
        self.intake.feed(&mut state, &self.frames);
        let is_behind = |state: &State| state.waiting.front().is_some_and(|oldest| now.saturating_sub(oldest.since) > BEHIND);
        while state.waiting.len() > MOST_FRAMES || state.waiting.len() > WAITING_FRAMES && is_behind(&state) {
            self.throw_oldest_away(&mut state);
        }
        Ok(())
    }

    fn throw_oldest_away(&self, state: &mut State) {
        // A plate that nobody sees is no frame that was lost.
        if state.waiting.pop_front().is_some_and(|oldest| oldest.passage.is_some()) {
            self.intake.dropped.inc();
        }
    }

    /// Frames that wait for the encoder.
    pub fn waiting(&self) -> usize {
        self.intake.lock().waiting.len()
    }

    /// What went wrong, if something did.
    pub fn failed(&self) -> Result<()> {
        match &self.running.watch.lock().fault {
            Some(fault) => Err(Error::runtime(format!("the encoder failed: {}", fault.words))),
            None => Ok(()),
        }
    }

    /// For sinks and viewers that join.
    pub fn key_request(&self) -> KeyRequest {
        KeyRequest(Arc::clone(&self.intake))
    }

    /// Encodes what waits. False: not all came out in time.
    pub fn finish(&self, within: Duration) -> bool {
        let mut state = self.intake.lock();
        state.ending = true;
        self.intake.feed(&mut state, &self.frames);
        drop(state);
        let ended = self.running.watch.wait(within, |state| state.ended || state.fault.is_some()).ended;
        let state = self.intake.lock();
        ended && state.waiting.is_empty() && state.encoded == state.taken
    }

    /// Stops the encoder; what still waits is thrown away. False: it hangs and is left behind.
    pub fn stop(&self) -> bool {
        let mut state = self.intake.lock();
        state.hungry = false;
        while !state.waiting.is_empty() {
            self.throw_oldest_away(&mut state);
        }
        drop(state);
        let _ = self.pool.set_active(false);
        self.running.stop()
    }
}

/// A packet of the encoder's, in the stream's own time.
fn packet(sample: &gst::Sample, came_out: impl FnOnce(Duration, bool) -> Option<Duration>) -> Option<Packet> {
    let mut buffer = sample.buffer_owned()?;
    let caps = sample.caps_owned()?;
    let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
    let pts = segment.to_running_time(buffer.pts()?)?;
    let key = has_idr(&buffer.map_readable().ok()?);
    let time = Duration::from(pts);
    let duration = came_out(time, key);
    let writable = buffer.make_mut();
    // The parser takes any intra picture for a beginning; later ones may look behind it.
    match key {
        true => writable.unset_flags(gst::BufferFlags::DELTA_UNIT),
        false => writable.set_flags(gst::BufferFlags::DELTA_UNIT),
    }
    writable.set_pts(pts);
    // No frame is coded out of order.
    writable.set_dts(pts);
    writable.set_duration(duration.and_then(|span| gst::ClockTime::try_from(span).ok()));
    Some(Packet { buffer, caps, key, pts: time })
}

/// Whether an access unit in the "avc" form, whose NAL units have lengths of four bytes before them, has a slice of an IDR picture.
fn has_idr(mut unit: &[u8]) -> bool {
    while let Some((length, rest)) = unit.split_first_chunk::<4>() {
        // ISO/IEC 14496-10, table 7-1: type 5.
        if rest.first().is_some_and(|head| head & 0x1f == 5) {
            return true;
        }
        unit = rest.get(u32::from_be_bytes(*length) as usize..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::has_idr;

    #[test]
    fn decoding_begins_at_idr_pictures_only() {
        let parameters = [0, 0, 0, 2, 0x67, 0x64, 0, 0, 0, 1, 0x68];
        let unit = |slice: u8| [&parameters[..], &[0, 0, 0, 3, slice, 5, 5]].concat();
        assert!(has_idr(&unit(0x65)) && has_idr(&unit(0x25)));
        assert!(!has_idr(&unit(0x41)) && !has_idr(&unit(0x61)));
        assert!(!has_idr(&[]) && !has_idr(&[0, 0, 1]) && !has_idr(&[0xff, 0xff, 0xff, 0xff, 0x41, 5]));
    }
}
