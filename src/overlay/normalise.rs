//! From raw saliency to 0..=1 without flicker.
//!
//! Raw maps differ in magnitude from frame to frame, so each is stretched between two of its percentiles. Taken frame by frame
//! that flickers; bounds and map therefore follow an exponential average over media time.

use std::time::Duration;

use crate::overlay::Heatmap;

/// Percentile that becomes 0.
const LOW: f64 = 0.01;
/// Percentile that becomes 1.
const HIGH: f64 = 0.995;

/// Stretches the maps of one stream to 0..=1 and smooths them over time.
///
/// Nothing looks for scene cuts: what an old scene leaves fades with the time constant, and a jump in time (a seek, a gap)
/// weighs the past by its length, so it is forgotten. [`Normaliser::reset`] forgets at once.
#[derive(Debug, Clone)]
pub struct Normaliser {
    smooth: Duration,
    state: Option<State>,
    sorted: Vec<f32>,
}

#[derive(Debug, Clone)]
struct State {
    pts: Duration,
    low: f32,
    high: f32,
    heatmap: Heatmap,
}

impl Normaliser {
    /// `smooth` is the time constant: after it a change has come through to 63 %. Zero takes each map by itself.
    pub fn new(smooth: Duration) -> Self {
        Self { smooth, state: None, sorted: Vec::new() }
    }

    /// Forgets the past.
    pub fn reset(&mut self) {
        self.state = None;
    }

    /// The heatmap of `map` (rows of `width`, `height` of them; not negative) of the frame at `pts`.
    ///
    /// A map that is the same everywhere gives 0 everywhere. So does one that is not finite everywhere, and it leaves no trace: what of it
    /// is finite means nothing. The past is forgotten when time runs backwards or the size changes.
    ///
    /// # Panics
    /// When `map` has not `width * height` values.
    pub fn apply(&mut self, map: &[f32], width: usize, height: usize, pts: Duration) -> Heatmap {
        assert_eq!(map.len(), width * height, "map's values");
        if !map.iter().all(|value| value.is_finite()) {
            return Heatmap { width, height, values: vec![0.0; map.len()] };
        }
        let (low, high) = self.bounds(map);
        let past = self.state.take().filter(|past| past.pts <= pts && (past.heatmap.width, past.heatmap.height) == (width, height));
        let weight = past.as_ref().map_or(1.0, |past| self.weight(pts - past.pts));
        let towards = |from: f32, to: f32| from + (to - from) * weight;
        let (low, high) = past.as_ref().map_or((low, high), |past| (towards(past.low, low), towards(past.high, high)));
        let span = high - low;
        let normal = |value: f32| if span > 0.0 { ((value - low) / span).clamp(0.0, 1.0) } else { 0.0 };
        let values = match past {
            Some(past) => past.heatmap.values.iter().zip(map).map(|(&past, &value)| towards(past, normal(value))).collect(),
            None => map.iter().map(|&value| normal(value)).collect(),
        };
        let heatmap = Heatmap { width, height, values };
        if !self.smooth.is_zero() {
            self.state = Some(State { pts, low, high, heatmap: heatmap.clone() });
        }
        heatmap
    }

    /// How much a map counts that comes `elapsed` after the last: 1 - exp(-elapsed / smooth).
    fn weight(&self, elapsed: Duration) -> f32 {
        if self.smooth.is_zero() { 1.0 } else { -(-elapsed.as_secs_f64() / self.smooth.as_secs_f64()).exp_m1() as f32 }
    }

    /// The two percentiles.
    fn bounds(&mut self, map: &[f32]) -> (f32, f32) {
        self.sorted.clear();
        self.sorted.extend(map);
        if self.sorted.is_empty() {
            return (0.0, 0.0);
        }
        let last = self.sorted.len() - 1;
        let rank = |share: f64| (share * last as f64).round() as usize;
        let (below, &mut high, _) = self.sorted.select_nth_unstable_by(rank(HIGH), f32::total_cmp);
        let low = if rank(LOW) < below.len() { *below.select_nth_unstable_by(rank(LOW), f32::total_cmp).1 } else { high };
        (low, high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(40);

    fn ramp(scale: f32) -> Vec<f32> {
        (0..1000).map(|i| scale * ((i * 617) % 1000) as f32).collect()
    }

    #[test]
    fn percentiles_become_zero_and_one() {
        let heatmap = Normaliser::new(Duration::ZERO).apply(&ramp(3.0), 50, 20, Duration::ZERO);
        let at = |value: usize| heatmap.values[(0..1000).find(|i| (i * 617) % 1000 == value).expect("a permutation")];
        assert_eq!((at(0), at(10), at(994), at(999)), (0.0, 0.0, 1.0, 1.0));
        assert!((at(502) - 0.5).abs() < 1e-6, "{}", at(502));
    }

    #[test]
    fn without_smoothing_the_past_does_not_count() {
        let mut normaliser = Normaliser::new(Duration::ZERO);
        let first = normaliser.apply(&ramp(1.0), 50, 20, Duration::ZERO);
        normaliser.apply(&vec![4.0; 1000], 50, 20, FRAME);
        assert_eq!(normaliser.apply(&ramp(100.0), 50, 20, FRAME * 2), first);
    }

    #[test]
    fn a_change_comes_through_to_63_percent_in_the_time_constant_whatever_the_frame_rate() {
        for frames in [1u32, 5, 25] {
            let mut normaliser = Normaliser::new(Duration::from_secs(1));
            let (mut left, mut right) = (vec![0.0; 200], vec![0.0; 200]);
            left[..100].fill(1.0);
            right[100..].fill(1.0);
            normaliser.apply(&left, 20, 10, Duration::ZERO);
            let mut last = 0.0;
            for frame in 1..=frames {
                last = normaliser.apply(&right, 20, 10, Duration::from_secs(1) * frame / frames).values[150];
            }
            assert!((last - 0.632).abs() < 0.001, "{frames} frames: {last}");
        }
    }

    #[test]
    fn flicker_of_the_magnitude_is_smoothed() {
        let mut normaliser = Normaliser::new(Duration::from_millis(400));
        let mut middles = Vec::new();
        for frame in 0..100 {
            let scale = if frame % 2 == 0 { 1.0 } else { 1.5 };
            middles.push(normaliser.apply(&ramp(scale), 50, 20, FRAME * frame).values[1]);
        }
        assert!(middles[50..].windows(2).all(|w| (w[1] - w[0]).abs() < 0.03), "{:?}", &middles[90..]);
    }

    #[test]
    fn a_step_back_a_new_size_and_reset_forget() {
        let mut normaliser = Normaliser::new(Duration::from_secs(5));
        let fresh = Normaliser::new(Duration::ZERO).apply(&ramp(1.0), 50, 20, Duration::ZERO);
        let dark = vec![0.5; 1000];
        normaliser.apply(&dark, 50, 20, FRAME * 10);
        assert_eq!(normaliser.apply(&ramp(1.0), 50, 20, FRAME), fresh);
        normaliser.apply(&dark, 20, 50, FRAME * 20);
        assert_eq!(normaliser.apply(&ramp(1.0), 50, 20, FRAME * 21).values, fresh.values);
        normaliser.apply(&dark, 50, 20, FRAME * 22);
        normaliser.reset();
        assert_eq!(normaliser.apply(&ramp(1.0), 50, 20, FRAME * 23), fresh);
    }

    #[test]
    fn flat_and_broken_maps_give_zero() {
        let mut normaliser = Normaliser::new(Duration::ZERO);
        assert_eq!(normaliser.apply(&[3.0; 6], 3, 2, FRAME).values, [0.0; 6]);
        assert_eq!(normaliser.apply(&[f32::NAN; 6], 3, 2, FRAME).values, [0.0; 6]);
        let mut map = ramp(1.0);
        map[0] = f32::INFINITY;
        let heatmap = normaliser.apply(&map, 50, 20, FRAME);
        assert!(heatmap.values.iter().all(|&value| value == 0.0));
        let mut smooth = Normaliser::new(Duration::from_secs(1));
        let mut whole = smooth.clone();
        for normaliser in [&mut smooth, &mut whole] {
            normaliser.apply(&ramp(1.0), 50, 20, FRAME);
        }
        smooth.apply(&map, 50, 20, FRAME * 2);
        let after = smooth.apply(&ramp(2.0), 50, 20, FRAME * 3);
        assert_eq!(after, whole.apply(&ramp(2.0), 50, 20, FRAME * 3), "a broken map leaves no trace");
    }
}
