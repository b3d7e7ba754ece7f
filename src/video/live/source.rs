//! A live source: one attempt to get frames from somewhere.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use super::settings::SourceSettings;
use super::shape::Shape;
use super::source_delivery::{Delivery, Ends};
use super::source_faults::Place;
use super::source_run::{prepare, run, wake};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::telemetry::Counter;
use crate::video::DecodedFrame;

/// How long a pipeline may take to stop before it is left behind.
const STOP: Duration = Duration::from_secs(5);

/// A decoded frame on its way.
#[derive(Debug)]
pub struct LiveFrame {
    /// The picture; its `pts` is the running time of its source, and grows from frame to frame.
    pub frame: DecodedFrame,
    /// When it was decoded, by the clock that the source was given.
    pub decoded: Duration,
    /// Of this frame and every other of the source.
    pub shape: Arc<Shape>,
}

/// What happens to a source.
#[derive(Debug)]
pub enum Event {
    /// Nothing comes any more; frames that wait are still there.
    Ended,
    /// It cannot go on; frames that wait are still there. The message says what, where and what to do.
    Failed(Error),
    /// The source changed its size or layout; frames after it are fitted to the old shape (scaled, with borders).
    Changed {
        /// As "1280x720 I420".
        from: String,
        /// The same of what comes now.
        to: String,
    },
}

/// Where a source counts its frames.
#[derive(Debug, Clone)]
pub struct SourceCounters {
    /// Frames that were decoded: each is handed out or counted as dropped.
    pub decoded: Counter,
    /// Frames that nobody took in time (`decode_queue`).
    pub dropped: Counter,
}

/// One attempt: it hands out frames until its server ends, fails or falls silent. Silence it does not notice.
pub struct Source {
    frames: Receiver<LiveFrame>,
    events: Receiver<Event>,
    delivery: Arc<Delivery>,
    pipeline: Arc<Mutex<Current>>,
    /// Dropped to end every wait.
    halt: Option<Sender<()>>,
    /// Closed when the thread is through.
    done: Receiver<()>,
}

/// The pipeline that runs, unless it has been asked to stop.
struct Current {
    pipeline: gst::Pipeline,
    stopped: bool,
}

impl Source {
    /// Starts; does not wait: what becomes of it comes as frames and events. With a `shape`, every frame is brought to it (size with
    /// borders, layout, colour); without, the first frame's holds for all that follow.
    ///
    /// # Errors
    /// [`Kind::Config`](crate::error::Kind::Config) where a URL is none or an operator's pipeline text lacks something;
    /// [`Kind::Runtime`](crate::error::Kind::Runtime) where GStreamer lacks an element (the message names its package).
    pub fn start(settings: &SourceSettings, shape: Option<&Shape>, clock: &Clock, counters: SourceCounters) -> Result<Source> {
        crate::video::init()?;
        crate::video::log_glib();
        let place = Place::of(&settings.input);
        let (delivery, Ends { frames, events, halt }) = Delivery::new(shape, settings.lossless, clock, counters);
        let prepared = prepare(settings, &delivery).map_err(|error| Error::new(error.kind(), place.clean(&error.to_string())))?;
        let pipeline = Arc::new(Mutex::new(Current { pipeline: prepared.pipeline.clone(), stopped: false }));
        let (through, done) = crossbeam_channel::bounded::<()>(0);
        let (settings, delivers, runs) = (settings.clone(), Arc::clone(&delivery), Arc::clone(&pipeline));
        let body = move || {
            let current = |pipeline: &gst::Pipeline| {
                let mut current = runs.lock().unwrap_or_else(PoisonError::into_inner);
                current.pipeline = pipeline.clone();
                !current.stopped
            };
            run(&settings, &place, prepared, &delivers, current);
            drop(through);
        };
        thread::Builder::new()
            .name("source".into())
            .spawn(body)
            .map_err(|error| Error::runtime(format!("no thread for a source: {error}")))?;
        Ok(Source { frames, events, delivery, pipeline, halt: Some(halt), done })
    }

    /// Frames in order. Of a live source at most three wait, and a fourth pushes the oldest out, counted; where nothing may be lost four
    /// wait, and the decoder with them. A clone outlives the source: what waits when it is stopped can be taken from it.
    pub fn frames(&self) -> &Receiver<LiveFrame> {
        &self.frames
    }

    /// What happens; [`Event::Ended`] or [`Event::Failed`] is the last.
    pub fn events(&self) -> &Receiver<Event> {
        &self.events
    }

    /// Stops it, in five seconds at most. No frame is counted after that. False: the pipeline hangs and is left behind.
    pub fn stop(mut self) -> bool {
        self.halt()
    }

    fn halt(&mut self) -> bool {
        let Some(halt) = self.halt.take() else { return true };
        // The order matters: a frame that waits for room holds the lock that `stop` takes.
        drop(halt);
        self.delivery.stop();
        let mut current = self.pipeline.lock().unwrap_or_else(PoisonError::into_inner);
        current.stopped = true;
        wake(&current.pipeline);
        drop(current);
        // Nothing is ever sent: the channel is closed when the thread has ended.
        self.done.recv_timeout(STOP) == Err(crossbeam_channel::RecvTimeoutError::Disconnected)
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.halt();
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("waiting", &self.frames.len()).finish_non_exhaustive()
    }
}
