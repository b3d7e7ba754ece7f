//! How long to wait before a source is tried again.

use std::time::Duration;

/// The shortest wait.
const FIRST: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST: Duration = Duration::from_secs(30);
/// Who has given frames for so long begins with the shortest wait again.
const HEALTHY: Duration = Duration::from_secs(30);

/// Waits that double, from 1 s to 30 s; each after the first is shortened by up to a half, but not below 1 s, so that cameras behind one switch are not all asked at once.
#[derive(Debug, Clone, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after one more failure of a source that gave frames for `lasted`. `random` is in 0..1.
    pub fn after(&mut self, lasted: Duration, random: f64) -> Duration {
        if lasted >= HEALTHY {
            self.failures = 0;
        }
        let whole = FIRST.saturating_mul(1 << self.failures.min(5)).min(LONGEST);
        self.failures += 1;
        whole.mul_f64(1.0 - random.clamp(0.0, 1.0) / 2.0).max(FIRST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_half_a_minute_for_ever() {
        let mut backoff = Backoff::default();
        let waits: Vec<f64> = (0..8).map(|_| backoff.after(Duration::ZERO, 0.0).as_secs_f64()).collect();
        assert_eq!(waits, [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]);
        assert_eq!(backoff.after(Duration::ZERO, 1.0).as_secs_f64(), 15.0);
        assert_eq!(backoff.after(HEALTHY, 0.5), FIRST, "it was well in between");
        assert_eq!(backoff.after(Duration::from_secs(3), 0.5).as_secs_f64(), 1.5);
        assert!((0..10_000).all(|_| backoff.after(Duration::ZERO, 0.3) <= LONGEST));
    }
}
