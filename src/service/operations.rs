//! What can be asked of a running service: the seam between HTTP and the streams.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::watch;

use super::settings::Faults;
use super::state::{Readiness, StreamState};

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// There is no stream of this name.
    Unknown,
    /// There is a stream of this name already.
    Exists,
    /// The document is wrong.
    Faults(Faults),
    /// The service is starting or ending.
    NotNow,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Unknown => f.write_str("there is no such stream"),
            Refused::Exists => f.write_str("there is a stream of this name already"),
            Refused::Faults(faults) => faults.fmt(f),
            Refused::NotNow => f.write_str("the service is starting or ending"),
        }
    }
}

/// What the page offers to choose from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Methods that the engine was started with.
    pub methods: Vec<String>,
    /// Colour maps.
    pub colour_maps: Vec<String>,
    /// The network's labels by index; empty where they are not known.
    pub labels: Vec<String>,
}

/// A running service. Calls may wait for a stream to start or stop, not for a network or a camera.
pub trait Operations: Send + Sync + 'static {
    /// All streams, in the order of the configuration.
    fn states(&self) -> Vec<StreamState>;
    /// One stream.
    fn state(&self, name: &str) -> Option<StreamState>;
    /// Adds a stream from a document with the keys of `[[stream]]`.
    fn add(&self, document: &Value) -> Result<StreamState, Refused>;
    /// Changes some keys of a stream. What can be changed in flight is; for the rest the stream is started anew.
    fn change(&self, name: &str, changes: &Value) -> Result<StreamState, Refused>;
    /// Ends a stream and forgets it.
    fn remove(&self, name: &str) -> Result<(), Refused>;
    /// Reads the configuration again. Gives what only holds from the next start on.
    fn reload(&self) -> Result<Vec<String>, Faults>;
    /// Whether the process can be used.
    fn readiness(&self) -> Readiness;
    /// Whether the process should live.
    fn healthy(&self) -> bool;
    /// All metrics as exposition text.
    fn metrics(&self) -> String;
    /// What can be chosen from.
    fn offer(&self) -> Offer;
    /// JPEG pictures of a stream, the last one first, for as long as the feed is kept. `None` where there is no such stream.
    fn preview(&self, name: &str) -> Option<Feed>;
}

/// Pictures for one viewer. Who is slow gets the newest when it is ready, and holds up nobody.
#[derive(Debug)]
pub struct Feed {
    /// The newest picture; empty where there is none yet.
    pub pictures: watch::Receiver<Bytes>,
    viewer: Viewer,
}

impl Feed {
    /// One more viewer, counted in `viewers` until the feed is dropped.
    pub fn new(pictures: watch::Receiver<Bytes>, viewers: &Arc<AtomicUsize>) -> Self {
        viewers.fetch_add(1, Ordering::SeqCst);
        Feed { pictures, viewer: Viewer(Arc::clone(viewers)) }
    }

    /// How many look, this one among them.
    pub fn viewers(&self) -> usize {
        self.viewer.0.load(Ordering::SeqCst)
    }
}

#[derive(Debug)]
struct Viewer(Arc<AtomicUsize>);

impl Drop for Viewer {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn viewers_are_counted_while_they_look() {
        let viewers = Arc::new(AtomicUsize::new(0));
        let (_deliver, pictures) = watch::channel(Bytes::new());
        let first = Feed::new(pictures.clone(), &viewers);
        let second = Feed::new(pictures, &viewers);
        assert_eq!(first.viewers(), 2);
        drop(second);
        assert_eq!((first.viewers(), viewers.load(Ordering::SeqCst)), (1, 1));
    }
}
