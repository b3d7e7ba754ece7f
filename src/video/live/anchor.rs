//! A stream's own time on a sink's clock.

use std::time::Duration;

/// Beyond this the stream's time has jumped, or the sink was away.
const JUMP_NS: i128 = 1_000_000_000;
/// The part of the difference that each packet makes up for. A camera's clock is off by some parts in a million, which adds up to seconds
/// within days.
const FOLLOW: i128 = 256;

/// Places packets on the running time of a pipeline that began later: spans stay, and the clocks are kept together.
#[derive(Debug, Default)]
pub(super) struct Anchor {
    offset_ns: Option<i128>,
    last_ns: i128,
}

impl Anchor {
    /// The time on the sink's clock of a packet at `pts` that is there at `now`. It never goes back.
    pub fn place(&mut self, pts: Duration, now: Duration) -> Duration {
        let (pts_ns, now_ns) = (pts.as_nanos() as i128, now.as_nanos() as i128);
        let offset_ns = match self.offset_ns {
            Some(offset_ns) if (now_ns - pts_ns - offset_ns).abs() <= JUMP_NS => offset_ns + (now_ns - pts_ns - offset_ns) / FOLLOW,
            _ => now_ns - pts_ns,
        };
        self.offset_ns = Some(offset_ns);
        self.last_ns = (pts_ns + offset_ns).max(self.last_ns);
        Duration::from_nanos(self.last_ns as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_stay_and_clocks_are_kept_together() {
        let ms = Duration::from_millis;
        let mut anchor = Anchor::default();
        assert_eq!(anchor.place(ms(90_000), ms(50)), ms(50));
        assert_eq!(anchor.place(ms(90_040), ms(90)), ms(90));
        let late = anchor.place(ms(90_080), ms(330)).as_secs_f64();
        assert!((0.130..0.132).contains(&late), "a late packet keeps its place: {late}");
        let mut last = Duration::ZERO;
        for index in 0..100_000_u64 {
            // A camera whose clock is a thousandth too fast.
            last = anchor.place(ms(90_120) + ms(40) * index as u32 + Duration::from_micros(40 * index), ms(400 + 40 * index));
        }
        let off = last.abs_diff(ms(400 + 40 * 99_999));
        assert!(off < ms(50), "{off:?} apart after an hour");
        let jumped = last + ms(40);
        assert_eq!(anchor.place(ms(5_000_000), jumped), jumped, "a jump begins anew");
        assert_eq!(anchor.place(ms(4_000_000), ms(1000)), jumped, "and time does not go back");
    }
}
