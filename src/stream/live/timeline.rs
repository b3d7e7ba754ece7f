//! One growing time for a stream whose sources come and go.

use std::time::Duration;

/// Players and muxers take no time twice.
const LEAST_STEP: Duration = Duration::from_millis(1);

/// Media times of sources, put one behind another. Never a frame number, never an assumed rate: gaps between frames are those of the source.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    /// Added to the times of the source that runs; unknown until its first frame.
    offset_ns: Option<i128>,
    last: Option<Duration>,
    /// The gap between the last two frames.
    last_step: Duration,
}

impl Timeline {
    /// Another source begins, with times of its own.
    pub fn restart(&mut self) {
        self.offset_ns = None;
    }

    /// The stream's time of a frame. Live (`now` is given): the first frame of a source lies where it came, by the stream's clock. Otherwise
    /// a source goes on where the last one ended.
    pub fn frame(&mut self, pts: Duration, now: Option<Duration>) -> Duration {
        let floor = self.last.map(|last| last + LEAST_STEP).unwrap_or_default();
        let offset_ns = *self.offset_ns.get_or_insert_with(|| {
            let begins = match (now, self.last) {
                (Some(now), _) => now.max(floor),
                (None, Some(last)) => last + self.last_step.max(LEAST_STEP),
                (None, None) => Duration::ZERO,
            };
            begins.as_nanos() as i128 - pts.as_nanos() as i128
        });
        let time_ns = (pts.as_nanos() as i128 + offset_ns).max(0) as u64;
        self.goes_on_at(Duration::from_nanos(time_ns).max(floor))
    }

    /// The stream's time of a picture that no source made.
    pub fn plate(&mut self, now: Duration) -> Duration {
        let floor = self.last.map(|last| last + LEAST_STEP).unwrap_or_default();
        self.goes_on_at(now.max(floor))
    }

    fn goes_on_at(&mut self, time: Duration) -> Duration {
        if let Some(last) = self.last {
            self.last_step = time - last;
        }
        self.last = Some(time);
        time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn live_sources_lie_where_they_came_and_keep_their_rhythm() {
        let mut timeline = Timeline::default();
        let times = |timeline: &mut Timeline, frames: &[(u64, u64)]| -> Vec<u64> {
            frames.iter().map(|&(pts, now)| timeline.frame(ms(pts), Some(ms(now))).as_millis() as u64).collect()
        };
        // Decoded with jitter; times are the camera's.
        assert_eq!(times(&mut timeline, &[(700, 5000), (740, 5049), (800, 5101)]), [5000, 5040, 5100]);
        assert_eq!(timeline.plate(ms(7300)), ms(7300));
        timeline.restart();
        assert_eq!(times(&mut timeline, &[(0, 9000), (33, 9040)]), [9000, 9033]);
    }

    #[test]
    fn times_never_stand_still_or_run_back() {
        let mut timeline = Timeline::default();
        let mut last = None;
        for (pts, now) in [(100, 50), (100, 60), (90, 70), (130, 80)] {
            let time = timeline.frame(ms(pts), Some(ms(now)));
            assert!(last.is_none_or(|last| time > last), "{time:?} behind {last:?}");
            last = Some(time);
        }
        assert!(timeline.plate(ms(0)) > last.expect("a time"));
    }

    #[test]
    fn files_begin_at_zero_and_follow_each_other() {
        let mut timeline = Timeline::default();
        assert_eq!(timeline.frame(ms(40), None), ms(0));
        assert_eq!(timeline.frame(ms(80), None), ms(40));
        timeline.restart();
        assert_eq!(timeline.frame(ms(0), None), ms(80));
    }
}
