//! Lines that could come with every frame, told once a second.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Clock;

/// Between two lines on one subject.
const SPAN: Duration = Duration::from_secs(1);

/// Nothing has been told yet.
const NEVER: u64 = u64::MAX;

/// Lets one line a second pass on one subject and counts the others. Threads may share it; it takes no lock.
///
/// ```
/// # use gradcast::{clock::Clock, telemetry::Seldom};
/// let late = Seldom::new(&Clock::machine());
/// late.say(|left_out| tracing::warn!(stream = "front", "a frame was not explained in time{left_out}"));
/// ```
#[derive(Debug)]
pub struct Seldom {
    clock: Clock,
    /// When the last line was told, in nanoseconds of the clock.
    told_ns: AtomicU64,
    left_out: AtomicU64,
}

/// How many lines were left out since the last one; shown as nothing, or as ` (12 more were left out)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeftOut(pub u64);

impl Seldom {
    /// One subject. Its first line is told.
    pub fn new(clock: &Clock) -> Self {
        Seldom { clock: clock.clone(), told_ns: AtomicU64::new(NEVER), left_out: AtomicU64::new(0) }
    }

    /// Tells the line, or counts it. What was left out last is told with the next line, however late that is.
    pub fn say(&self, line: impl FnOnce(LeftOut)) {
        let now_ns = self.clock.now().as_nanos() as u64;
        let told_ns = self.told_ns.load(Ordering::Relaxed);
        let due = told_ns == NEVER || now_ns.saturating_sub(told_ns) >= SPAN.as_nanos() as u64;
        // Of several threads that find it due, the one that sets the time tells.
        if due && self.told_ns.compare_exchange(told_ns, now_ns, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            line(LeftOut(self.left_out.swap(0, Ordering::Relaxed)));
        } else {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            1 => f.write_str(" (1 more was left out)"),
            n => write!(f, " ({n} more were left out)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_second_and_the_others_are_counted() {
        let clock = Clock::simulated();
        let seldom = Seldom::new(&clock);
        let mut lines = Vec::new();
        // Ten times a second for two and a half seconds, then once after a silence.
        for _ in 0..25 {
            seldom.say(|left_out| lines.push((clock.now().as_millis(), left_out.0)));
            clock.advance(Duration::from_millis(100));
        }
        clock.advance(Duration::from_secs(3600));
        seldom.say(|left_out| lines.push((clock.now().as_millis(), left_out.0)));
        assert_eq!(lines, [(0, 0), (1000, 9), (2000, 9), (3_602_500, 4)]);
    }

    #[test]
    fn of_many_threads_one_tells() {
        let seldom = Seldom::new(&Clock::simulated());
        let told = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        seldom.say(|_| {
                            told.fetch_add(1, Ordering::Relaxed);
                        });
                    }
                });
            }
        });
        assert_eq!((told.load(Ordering::Relaxed), seldom.left_out.load(Ordering::Relaxed)), (1, 799));
    }

    #[test]
    fn what_was_left_out_is_said_in_words() {
        assert_eq!([0, 1, 12].map(|n| LeftOut(n).to_string()), ["", " (1 more was left out)", " (12 more were left out)"]);
    }
}
