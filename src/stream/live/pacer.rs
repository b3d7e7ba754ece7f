//! Which frames are explained.

use std::time::Duration;

/// Picks every so many frames, and no more than so many a second.
#[derive(Debug, Clone)]
pub(super) struct Pacer {
    every: usize,
    /// The least time between two explained frames.
    least_gap: Option<Duration>,
    since: usize,
    last: Option<Duration>,
}

impl Pacer {
    pub fn new(every: usize, max_fps: Option<f64>) -> Self {
        let least_gap = max_fps.filter(|fps| *fps > 0.0).and_then(|fps| Duration::try_from_secs_f64(1.0 / fps).ok());
        Pacer { every: every.max(1), least_gap, since: 0, last: None }
    }

    /// Whether the frame of this media time is explained. The first one is.
    pub fn picks(&mut self, pts: Duration) -> bool {
        let due = self.since == 0;
        self.since = (self.since + 1) % self.every;
        // A tenth less, so that a camera of just this rate loses no frame to its jitter. A jump back begins anew.
        let rested = match (self.least_gap, self.last) {
            (Some(gap), Some(last)) => pts < last || pts - last >= gap * 9 / 10,
            _ => true,
        };
        if due && rested {
            self.last = Some(pts);
        }
        due && rested
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picked(pacer: &mut Pacer, times_ms: impl Iterator<Item = u64>) -> Vec<u64> {
        times_ms.filter(|&time| pacer.picks(Duration::from_millis(time))).collect()
    }

    #[test]
    fn every_third_frame() {
        assert_eq!(picked(&mut Pacer::new(3, None), (0..10).map(|at| at * 40)), [0, 120, 240, 360]);
    }

    #[test]
    fn no_more_than_so_many_a_second() {
        let all = picked(&mut Pacer::new(1, Some(5.0)), (0..60).map(|at| at * 33));
        assert!(all.windows(2).all(|pair| pair[1] - pair[0] >= 180), "{all:?}");
        assert!((9..=11).contains(&all.len()), "{all:?}");
        // A camera of just this rate, with jitter.
        let jitter = [0, 205, 395, 602, 799, 1003];
        assert_eq!(picked(&mut Pacer::new(1, Some(5.0)), jitter.into_iter()), jitter);
    }

    #[test]
    fn a_jump_back_in_time_begins_anew() {
        assert_eq!(picked(&mut Pacer::new(1, Some(1.0)), [5000, 5100, 10, 900, 1010].into_iter()), [5000, 10, 1010]);
    }
}
