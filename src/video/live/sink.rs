//! A sink: a thread that takes packets from its queue and gives them to a pipeline of its own, which it makes again when it fails.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use super::encoding::KeyRequest;
use super::packets::{Packet, PacketQueue, Taken};
use super::pipe::HANG;
use super::push::StreamWriter;
use super::segments::{SegmentWriter, WholeFile};
use super::settings::{SinkKind, SinkSettings};
use crate::clock::{Clock, pause};
use crate::error::{Error, Result};
use crate::video::launch::pipeline_text;
use crate::video::watch::STALL;

/// How often a sink looks for faults while no packets come.
const LOOK: Duration = Duration::from_secs(1);
/// How often a sink that waits looks whether the stream has ended.
const TICK: Duration = Duration::from_millis(200);
/// Waits between tries: from the first to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A sink that worked for so long failed anew, not still.
const STEADY: Duration = Duration::from_secs(30);

/// How a sink is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkState {
    /// As the settings call it.
    pub name: String,
    /// rtsp, push, segments, hls, v4l2, file or gstreamer.
    pub kind: &'static str,
    /// It takes packets, as far as can be seen. Of an RTSP server's path: it is mounted.
    pub up: bool,
    /// Who looks, where that is known.
    pub viewers: Option<usize>,
    /// Why it failed the last time; not forgotten when it works again.
    pub last_error: Option<String>,
}

/// What a sink's pipelines have to know.
#[derive(Clone)]
pub(super) struct Surroundings {
    /// Name of the stream.
    pub stream: String,
    /// Folder of the operator's own pipelines.
    pub pipelines: Option<PathBuf>,
    pub lossless: bool,
    pub key_interval: Duration,
    /// Says something, or is gone, when all waits have to end.
    pub stop: Receiver<()>,
}

impl Surroundings {
    /// The text of a pipeline.
    pub fn text(&self, name: &str, built_in: &str) -> Result<String> {
        pipeline_text(self.pipelines.as_deref(), name, built_in)
    }

    /// How long a pipeline may take nothing.
    pub fn hang(&self) -> Duration {
        if self.lossless { STALL } else { HANG }
    }
}

/// What takes packets until it fails.
pub(super) trait Writer {
    /// Takes a packet; may wait for as long as a pipeline may hang.
    fn write(&mut self, packet: Packet) -> Result<()>;
    /// What went wrong, if something did.
    fn check(&self) -> Result<()>;
    /// Whether what is written really goes somewhere.
    fn is_up(&self) -> bool;
    /// Nothing comes any more; what was written becomes whole.
    fn end(self: Box<Self>) -> Result<()>;
}

/// A sink that runs.
pub(super) struct Sink {
    pub queue: Arc<PacketQueue>,
    state: Arc<Mutex<SinkState>>,
    /// Dropped to end all waits.
    stop: Option<Sender<()>>,
    /// Says once whether the sink ended well.
    done: Receiver<bool>,
}

struct Work {
    settings: SinkSettings,
    around: Surroundings,
    queue: Arc<PacketQueue>,
    state: Arc<Mutex<SinkState>>,
    key: KeyRequest,
    clock: Clock,
    restarted: Box<dyn Fn() + Send>,
}

/// What is told of a sink.
pub(super) struct Told {
    /// A packet did not get there.
    pub lost: Box<dyn Fn() + Send + Sync>,
    /// It was begun again.
    pub restarted: Box<dyn Fn() + Send>,
}

impl SinkKind {
    /// Its word in states and configurations.
    pub fn word(&self) -> &'static str {
        match self {
            SinkKind::Rtsp { .. } => "rtsp",
            SinkKind::Push(_) => "push",
            SinkKind::Segments(_) => "segments",
            SinkKind::Hls(_) => "hls",
            SinkKind::Device(_) => "v4l2",
            SinkKind::File(_) => "file",
            SinkKind::Text(_) => "gstreamer",
        }
    }

    /// Whether packets wait for it where nothing may be lost.
    fn is_a_file(&self) -> bool {
        matches!(self, SinkKind::Segments(_) | SinkKind::Hls(_) | SinkKind::File(_))
    }
}

impl Sink {
    /// Starts the thread; does not wait for it.
    pub fn start(settings: &SinkSettings, around: Surroundings, key: KeyRequest, clock: &Clock, told: Told) -> Result<Sink> {
        let (stop, stopped) = crossbeam_channel::bounded(0);
        let (done, is_done) = crossbeam_channel::bounded(1);
        let lossless = around.lossless && settings.kind.is_a_file();
        let queue = Arc::new(PacketQueue::new(lossless, told.lost));
        let kind = settings.kind.word();
        let state = SinkState { name: settings.name.clone(), kind, up: false, viewers: None, last_error: None };
        let state = Arc::new(Mutex::new(state));
        let mut work = Work {
            settings: settings.clone(),
            around: Surroundings { lossless, stop: stopped, ..around },
            queue: Arc::clone(&queue),
            state: Arc::clone(&state),
            key,
            clock: clock.clone(),
            restarted: told.restarted,
        };
        thread::Builder::new()
            .name("sink".into())
            .spawn(move || {
                let _ = done.send(work.run());
            })
            .map_err(|error| Error::runtime(error.to_string()).with_source(error))?;
        Ok(Sink { queue, state, stop: Some(stop), done: is_done })
    }

    /// How it is.
    pub fn state(&self) -> SinkState {
        lock(&self.state).clone()
    }

    /// Waits for the end after [`PacketQueue::end`]. False: it hung, or something was not written.
    pub fn finish(&mut self, within: Duration) -> bool {
        let ended = self.done.recv_timeout(within);
        self.abort();
        ended.unwrap_or(false)
    }

    /// Ends all waits; what waits is lost. The thread ends by itself.
    pub fn abort(&mut self) {
        self.stop = None;
        self.queue.abandon();
    }
}

fn lock(state: &Mutex<SinkState>) -> MutexGuard<'_, SinkState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long to wait before the next try.
struct BackOff(Duration);

impl BackOff {
    fn next(&mut self) -> Duration {
        let wait = self.0;
        self.0 = (wait * 2).min(LONGEST_WAIT);
        // Sinks that failed together do not come back together.
        wait.mul_f64(1.0 + 0.25 * fastrand::f64()).min(LONGEST_WAIT)
    }
}

impl Work {
    /// Tries again until the stream ends. False: it did not end well.
    fn run(&mut self) -> bool {
        let mut back_off = BackOff(FIRST_WAIT);
        let (stream, sink) = (self.around.stream.clone(), self.settings.name.clone());
        loop {
            let began = self.clock.now();
            if self.queue.open() {
                self.key.ask();
            }
            let ended = self.run_once();
            self.queue.close();
            lock(&self.state).up = false;
            let error = match ended {
                Ok(()) => return !self.around.lossless || self.queue.lost() == 0,
                Err(error) => error,
            };
            let words = error.to_string();
            let mut state = lock(&self.state);
            // The same fault again and again is told once.
            let is_new = state.last_error.as_ref() != Some(&words) || self.clock.now().saturating_sub(began) >= STEADY;
            state.last_error = Some(words.clone());
            drop(state);
            if is_new {
                tracing::warn!(%stream, %sink, "sink failed: {words}");
            }
            if self.clock.now().saturating_sub(began) >= STEADY {
                back_off = BackOff(FIRST_WAIT);
            }
            if !self.wait(back_off.next()) {
                // A server that is away at the end has lost nothing that was not counted.
                return !self.settings.kind.is_a_file();
            }
            (self.restarted)();
        }
    }

    /// Waits before the next try. False: there is no more use in one.
    fn wait(&self, span: Duration) -> bool {
        let clock = crate::clock::Stopwatch::start();
        while clock.elapsed() < span {
            if !pause(TICK.min(span.saturating_sub(clock.elapsed())), &self.around.stop) || self.queue.is_over() {
                return false;
            }
        }
        true
    }

    fn run_once(&self) -> Result<()> {
        let mut writer: Option<Box<dyn Writer>> = None;
        loop {
            match self.queue.take(LOOK) {
                Taken::Packet(packet) => {
                    let mut begun = match writer.take() {
                        Some(writer) => writer,
                        None => self.begin(&packet)?,
                    };
                    begun.write(packet).inspect_err(|_| self.queue.lose_taken())?;
                    self.tell(begun.is_up());
                    writer = Some(begun);
                }
                Taken::Nothing => {
                    if let Some(writer) = &writer {
                        writer.check()?;
                    }
                }
                Taken::End => return writer.map_or(Ok(()), |writer| writer.end()),
            }
        }
    }

    fn tell(&self, up: bool) {
        let mut state = lock(&self.state);
        if up && !state.up {
            tracing::info!(stream = %self.around.stream, sink = %state.name, kind = state.kind, "sink works");
        }
        state.up = up;
    }

    fn begin(&self, first: &Packet) -> Result<Box<dyn Writer>> {
        let around = &self.around;
        Ok(match &self.settings.kind {
            SinkKind::Segments(segments) => Box::new(SegmentWriter::mp4(segments, around)?),
            SinkKind::Hls(segments) => Box::new(SegmentWriter::hls(segments, around)?),
            SinkKind::File(path) => Box::new(WholeFile::start(path, first, around)?),
            SinkKind::Push(push) => Box::new(StreamWriter::push(push, around)?),
            SinkKind::Device(path) => Box::new(StreamWriter::device(path, around)?),
            SinkKind::Text(text) => Box::new(StreamWriter::text(text, around)?),
            SinkKind::Rtsp { .. } => return Err(Error::runtime("paths of our own server have no pipeline here")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_half_a_minute_and_differ() {
        let mut back_off = BackOff(FIRST_WAIT);
        let waits: Vec<Duration> = (0..10).map(|_| back_off.next()).collect();
        for (wait, least) in waits.iter().zip([1, 2, 4, 8, 16, 30, 30]) {
            let least = Duration::from_secs(least);
            assert!((least..=least.mul_f64(1.25).min(LONGEST_WAIT)).contains(wait), "{waits:?}");
        }
        assert_eq!(waits[9], LONGEST_WAIT);
        let firsts: std::collections::HashSet<Duration> = (0..20).map(|_| BackOff(FIRST_WAIT).next()).collect();
        assert!(firsts.len() > 1);
    }
}
