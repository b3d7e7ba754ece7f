//! One live stream's life: frames in, explained in time or shown with the last explanation, and out again whatever happens to the source.

mod backoff;
mod canvas;
mod errands;
mod feed;
mod line;
mod meters;
mod pacer;
mod runner;
mod settings;
mod standing;
mod timeline;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

pub use meters::{Families, Meters, Outcome, Queue, Reason, Retry, SinkMeters};
pub use settings::{Aim, Look, Settings};
pub use standing::{LastAnswer, Snapshot, Standing, Up};

use super::records::Labels;
use crate::clock::Clock;
use crate::engine::Batcher;
use crate::error::{Error, Result};
use crate::saliency::Method;
use crate::video::live::RtspServer;
use runner::Runner;

/// What all streams share.
#[derive(Clone)]
pub struct Parts {
    /// What time it is.
    pub clock: Clock,
    /// The engine.
    pub batcher: Arc<Batcher>,
    /// Labels of the network's classes.
    pub labels: Labels,
    /// The methods that the engine was started with, by index.
    pub methods: Arc<Vec<Method>>,
    /// Our own RTSP server.
    pub rtsp: Option<RtspServer>,
}

/// What a stream is told.
enum Order {
    /// To go on with other settings.
    Change(Box<Settings>),
}

/// A stream that runs.
pub struct Stream {
    orders: Sender<Order>,
    done: Receiver<()>,
    standing: Arc<Standing>,
    meters: Arc<Meters>,
}

impl Stream {
    /// Starts; what becomes of it shows in its standing.
    ///
    /// # Errors
    /// Kind::Runtime where a thread cannot be started.
    pub fn start(settings: Settings, parts: &Parts, meters: Arc<Meters>) -> Result<Self> {
        let (orders, coming) = unbounded();
        let (finished, done) = bounded(1);
        let standing = Arc::new(Standing::new(settings.clone()));
        let name = format!("stream-{}", settings.name);
        let runner = Runner::new(settings, parts.clone(), Arc::clone(&meters), Arc::clone(&standing));
        let spawned = thread::Builder::new().name(name).spawn(move || runner.run(&coming, &finished));
        spawned.map_err(|error| Error::runtime("cannot start a stream's thread").with_source(error))?;
        Ok(Stream { orders, done, standing, meters })
    }

    /// How it stands.
    pub fn standing(&self) -> Snapshot {
        self.standing.snapshot()
    }

    /// Its series.
    pub fn meters(&self) -> &Arc<Meters> {
        &self.meters
    }

    /// Whether a change of settings can be made while it runs: its size, its output and its mode stay.
    pub fn can_become(&self, new: &Settings) -> bool {
        let old = self.standing().settings;
        old.lossless == new.lossless
            && old.size_px == new.size_px
            && old.output == new.output
            && old.look.overlay.layout == new.look.overlay.layout
            && old.source.formats == new.source.formats
    }

    /// Goes on with other settings. Nothing happens where it has come to its end.
    pub fn change(&self, new: Settings) {
        // At once: who asks next, or changes another key, goes by these.
        self.standing.update(|standing| standing.settings = new.clone());
        let _ = self.orders.send(Order::Change(Box::new(new)));
    }

    /// Whether its loop has ended: a file that is through.
    pub fn is_over(&self) -> bool {
        !self.done.is_empty()
    }

    /// Tells it to stop; gives what tells when it has.
    pub fn stop(self) -> Stopping {
        Stopping(self.done)
    }
}

/// A stream on its way to its end.
pub struct Stopping(Receiver<()>);

impl Stopping {
    /// Waits for the end. False: it has not come in time.
    pub fn wait(self, within: Duration) -> bool {
        !matches!(self.0.recv_timeout(within), Err(RecvTimeoutError::Timeout))
    }
}

#[cfg(test)]
mod tests;
