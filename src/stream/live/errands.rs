//! Threads that take down what may hang, and the wait for them at a stream's end.

use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

/// Threads that were sent off.
pub(super) struct Errands {
    /// Each thread has a clone: nothing is ever sent.
    away: Option<Sender<()>>,
    /// Closed when all are back.
    back: Receiver<()>,
}

impl Errands {
    pub fn new() -> Self {
        let (away, back) = bounded(0);
        Errands { away: Some(away), back }
    }

    /// Does `work` on a thread of its own. False: there is none, and `work` was dropped.
    pub fn send(&self, name: &str, work: impl FnOnce() + Send + 'static) -> bool {
        let away = self.away.clone();
        let errand = move || {
            work();
            drop(away);
        };
        thread::Builder::new().name(name.to_owned()).spawn(errand).is_ok()
    }

    /// Waits for all that were sent; the last thing that is asked. False: one is not back in time.
    pub fn wait(&mut self, within: Duration) -> bool {
        self.away = None;
        self.back.recv_timeout(within) == Err(RecvTimeoutError::Disconnected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_ends_with_the_last_thread() {
        let mut none = Errands::new();
        assert!(none.wait(Duration::ZERO));
        let mut errands = Errands::new();
        let (go, waits) = bounded::<()>(0);
        let (said, heard) = bounded(2);
        let other = said.clone();
        let one = move || {
            let _ = waits.recv();
            let _ = said.send(());
        };
        assert!(errands.send("one", one));
        assert!(errands.send("other", move || {
            let _ = other.send(());
        }));
        assert!(!errands.wait(Duration::from_millis(1)), "one still waits");
        drop(go);
        assert!(errands.wait(Duration::from_secs(60)));
        assert_eq!(heard.try_iter().count(), 2);
    }
}
