//! The one module that reads the machine's clock or sleeps. Everything else takes times from here or from the media.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError};

/// Measures how long something takes, on the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    pub fn start() -> Self {
        Stopwatch(Instant::now())
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Monotonic time since the process, or a test, began. Cheap to clone; all clones show the same time.
#[derive(Debug, Clone)]
pub struct Clock(Hands);

#[derive(Debug, Clone)]
enum Hands {
    Machine(Instant),
    /// Nanoseconds.
    Simulated(Arc<AtomicU64>),
}

impl Clock {
    /// The machine's monotonic clock, from zero on. Steps of the wall clock do not touch it.
    pub fn machine() -> Self {
        Clock(Hands::Machine(Instant::now()))
    }

    /// A clock that stands at zero until [`Clock::advance`] moves it.
    pub fn simulated() -> Self {
        Clock(Hands::Simulated(Arc::default()))
    }

    /// Time since the start.
    pub fn now(&self) -> Duration {
        match &self.0 {
            Hands::Machine(start) => start.elapsed(),
            Hands::Simulated(now_ns) => Duration::from_nanos(now_ns.load(Ordering::SeqCst)),
        }
    }

    /// Moves a simulated clock on.
    ///
    /// # Panics
    /// On the machine's clock, which nobody moves.
    pub fn advance(&self, by: Duration) {
        match &self.0 {
            Hands::Simulated(now_ns) => now_ns.fetch_add(by.as_nanos() as u64, Ordering::SeqCst),
            Hands::Machine(_) => panic!("the machine's clock cannot be moved"),
        };
    }
}

/// Wall time since 1970, for stamps that people and Prometheus read. Nothing is measured by it: it may step.
pub fn unix_time() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Waits for so long, or until `stop` says something or is gone. False: it did.
pub fn pause<T>(span: Duration, stop: &Receiver<T>) -> bool {
    matches!(stop.recv_timeout(span), Err(RecvTimeoutError::Timeout))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulated_clock_goes_when_it_is_moved() {
        let clock = Clock::simulated();
        let other = clock.clone();
        clock.advance(Duration::from_millis(1500));
        assert_eq!(other.now(), Duration::from_millis(1500));
    }

    #[test]
    fn a_pause_ends_when_somebody_says_so() {
        let (stop, stopped) = crossbeam_channel::bounded::<()>(1);
        assert!(pause(Duration::from_millis(1), &stopped));
        drop(stop);
        assert!(!pause(Duration::from_secs(3600), &stopped));
    }
}
