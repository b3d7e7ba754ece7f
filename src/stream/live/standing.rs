//! How a stream stands, for those who ask. The stream writes it when something changes; nobody waits for a pipeline here.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::settings::Settings;
use crate::clock::unix_time;
use crate::video::live::SinkState;

/// Whether frames come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Up {
    /// The first connection is being made.
    Starting,
    /// Frames come.
    Up,
    /// None come; the source is tried again.
    Down,
    /// A file has come to its end.
    Ended,
}

/// The last explained frame's numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct LastAnswer {
    /// What is explained, in words.
    pub label: String,
    /// How probable it is.
    pub probability: f32,
    /// The completeness residual.
    pub residual: f32,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Whether frames come.
    pub up: Up,
    /// Since when, since 1970.
    pub since: Duration,
    /// What was wrong last.
    pub last_error: Option<String>,
    /// When the last frame was decoded, since 1970.
    pub last_frame: Option<Duration>,
    /// Columns and rows of the output.
    pub size_px: Option<(usize, usize)>,
    /// The encoder's element.
    pub encoder: Option<String>,
    /// Who gets the packets.
    pub sinks: Vec<SinkState>,
    /// Of the last explained frame.
    pub last_answer: Option<LastAnswer>,
    /// Frames that wait, by [`Queue`](super::Queue).
    pub waiting: [usize; 3],
    /// How often the stream's loop has brought this up to date: one that lives does so twice a second at least.
    pub turns: u64,
    /// What the stream runs with.
    pub settings: Settings,
}

/// A snapshot that is kept up to date.
#[derive(Debug)]
pub struct Standing(Mutex<Snapshot>);

impl Standing {
    pub(super) fn new(settings: Settings) -> Self {
        Standing(Mutex::new(Snapshot {
            up: Up::Starting,
            since: unix_time(),
            last_error: None,
            last_frame: None,
            size_px: None,
            encoder: None,
            sinks: Vec::new(),
            last_answer: None,
            waiting: [0; 3],
            turns: 0,
            settings,
        }))
    }

    /// How it stands.
    pub fn snapshot(&self) -> Snapshot {
        self.lock().clone()
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut Snapshot)) {
        change(&mut self.lock());
    }

    /// Another state of the source, from now on. True: it is another.
    pub(super) fn goes(&self, up: Up) -> bool {
        let mut snapshot = self.lock();
        let other = snapshot.up != up;
        if other {
            snapshot.up = up;
            snapshot.since = unix_time();
        }
        other
    }

    fn lock(&self) -> MutexGuard<'_, Snapshot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
