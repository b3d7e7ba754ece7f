//! Terms of an affine node and of the clipping activation behind it, for one image, in one pass over the gradient.
//!
//! With g = df/dy of the activation's output y (pixels x channels), bounds low and high, and the affine node's bias b (channels):
//! g' = g where low < y < high, else 0; the affine term is T = g' b; the activation's is U = g times the bound that y has reached.

use super::element::Element;
use super::{Extremes, LANES};

/// Bounds of a clipping activation: y = min(max(x, low), high). A rectifier has low = 0 and high = infinity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Lower bound.
    pub low: f32,
    /// Upper bound.
    pub high: f32,
}

impl Bounds {
    /// True where the activation has a term: a bound that is finite and not zero.
    pub fn have_term(&self) -> bool {
        [self.low, self.high].iter().any(|bound| bound.is_finite() && *bound != 0.0)
    }
}

/// A term of one image, reduced.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImageTerms {
    /// Sum of the term.
    pub sum: f64,
    /// Smallest magnitude.
    pub smallest: f32,
    /// Largest magnitude.
    pub largest: f32,
}

/// Pixels whose lane sums are added up in f32 before they go to f64.
const BLOCK: usize = 64;

/// What is collected of one term while the pass runs.
struct Collector {
    extremes: Extremes,
    lanes: [f32; LANES],
    sum: f64,
}

impl Collector {
    fn new() -> Self {
        Collector { extremes: Extremes::new(), lanes: [0.0; LANES], sum: 0.0 }
    }

    /// Eight values of the term: gives their magnitudes added to `pixel`.
    #[inline(always)]
    fn take(&mut self, term: &[f32; LANES], pixel: &mut [f32; LANES]) {
        let mut magnitudes = [0.0; LANES];
        for lane in 0..LANES {
            magnitudes[lane] = term[lane].abs();
            pixel[lane] += magnitudes[lane];
            self.lanes[lane] += term[lane];
        }
        self.extremes.take(&magnitudes);
    }

    #[inline(always)]
    fn take_one(&mut self, term: f32, pixel: &mut f32) {
        let m = term.abs();
        *pixel += m;
        self.lanes[0] += term;
        self.extremes.smallest[0] = if m < self.extremes.smallest[0] { m } else { self.extremes.smallest[0] };
        self.extremes.largest[0] = if m > self.extremes.largest[0] { m } else { self.extremes.largest[0] };
    }

    #[inline(always)]
    fn flush(&mut self) {
        self.sum += self.lanes.iter().map(|&lane| f64::from(lane)).sum::<f64>();
        self.lanes = [0.0; LANES];
    }

    fn finish(mut self) -> ImageTerms {
        self.flush();
        let (smallest, largest) = self.extremes.reduce();
        ImageTerms { sum: self.sum, smallest, largest }
    }
}

#[inline(always)]
fn horizontal(lanes: &[f32; LANES]) -> f32 {
    let [a, b, c, d, e, f, g, h] = *lanes;
    ((a + e) + (b + f)) + ((c + g) + (d + h))
}

#[inline(always)]
fn clipped<E: Element, const TERM: bool>(
    grad: &mut [E],
    y: &[E],
    bias: &[f32],
    bounds: Bounds,
    affine_map: &mut [f32],
    clip_map: &mut [f32],
) -> (ImageTerms, ImageTerms) {
    let channels = bias.len();
    let (mut affine, mut clip) = (Collector::new(), Collector::new());
    // An infinite bound is never reached by a finite y; its term is left out, since infinity times zero is no number.
    let reached = |bound: f32| if bound.is_finite() { bound } else { 0.0 };
    let (at_low, at_high) = (reached(bounds.low), reached(bounds.high));
    let pixels = grad.chunks_exact_mut(channels).zip(y.chunks_exact(channels)).enumerate();
    for (pixel, (grad, y)) in pixels {
        let (mut affine_lanes, mut clip_lanes) = ([0.0; LANES], [0.0; LANES]);
        let (grad_eights, grad_rest) = grad.as_chunks_mut::<LANES>();
        let (y_eights, y_rest) = y.as_chunks::<LANES>();
        let (bias_eights, bias_rest) = bias.as_chunks::<LANES>();
        for ((grad, y), bias) in grad_eights.iter_mut().zip(y_eights).zip(bias_eights) {
            let (mut term, mut bound_term) = ([0.0; LANES], [0.0; LANES]);
            for lane in 0..LANES {
                let (g, y) = (grad[lane].load(), y[lane].load());
                let (above, below) = (y > bounds.low, y < bounds.high);
                let passed = if above & below { g } else { 0.0 };
                grad[lane] = E::store(passed);
                term[lane] = passed * bias[lane];
                if TERM {
                    bound_term[lane] = g * if below { if above { 0.0 } else { at_low } } else { at_high };
                }
            }
            affine.take(&term, &mut affine_lanes);
            if TERM {
                clip.take(&bound_term, &mut clip_lanes);
            }
        }
        let (mut affine_pixel, mut clip_pixel) = (horizontal(&affine_lanes), horizontal(&clip_lanes));
        for ((grad, y), bias) in grad_rest.iter_mut().zip(y_rest).zip(bias_rest) {
            let (g, y) = (grad.load(), y.load());
            let (above, below) = (y > bounds.low, y < bounds.high);
            let passed = if above & below { g } else { 0.0 };
            *grad = E::store(passed);
            affine.take_one(passed * bias, &mut affine_pixel);
            if TERM {
                clip.take_one(g * if below { if above { 0.0 } else { at_low } } else { at_high }, &mut clip_pixel);
            }
        }
        affine_map[pixel] = affine_pixel;
        if TERM {
            clip_map[pixel] = clip_pixel;
        }
        if pixel % BLOCK == BLOCK - 1 {
            affine.flush();
            clip.flush();
        }
    }
    (affine.finish(), clip.finish())
}

#[inline(always)]
fn plain<E: Element>(grad: &[E], bias: &[f32], map: &mut [f32]) -> ImageTerms {
    let mut collector = Collector::new();
    for (pixel, grad) in grad.chunks_exact(bias.len()).enumerate() {
        let mut lanes = [0.0; LANES];
        let (grad_eights, grad_rest) = grad.as_chunks::<LANES>();
        let (bias_eights, bias_rest) = bias.as_chunks::<LANES>();
        for (grad, bias) in grad_eights.iter().zip(bias_eights) {
            let mut term = [0.0; LANES];
            for lane in 0..LANES {
                term[lane] = grad[lane].load() * bias[lane];
            }
            collector.take(&term, &mut lanes);
        }
        let mut sum = horizontal(&lanes);
        for (grad, bias) in grad_rest.iter().zip(bias_rest) {
            collector.take_one(grad.load() * bias, &mut sum);
        }
        map[pixel] = sum;
        if pixel % BLOCK == BLOCK - 1 {
            collector.flush();
        }
    }
    collector.finish()
}

/// The terms of an affine node and the activation that clips its output, for one image; `grad` becomes the gradient before the clipping.
///
/// `grad` and `y` are pixels x channels, `bias` channels, the maps a sum of magnitudes a pixel; `clip_map` is written only where
/// [`Bounds::have_term`].
pub fn clipped_terms<E: Element>(
    grad: &mut [E],
    y: &[E],
    bias: &[f32],
    bounds: Bounds,
    affine_map: &mut [f32],
    clip_map: &mut [f32],
) -> (ImageTerms, ImageTerms) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the processor has the features that the function is compiled for.
        return unsafe { clipped_avx2(grad, y, bias, bounds, affine_map, clip_map) };
    }
    clipped_any(grad, y, bias, bounds, affine_map, clip_map)
}

#[inline(always)]
fn clipped_any<E: Element>(
    grad: &mut [E],
    y: &[E],
    bias: &[f32],
    bounds: Bounds,
    affine_map: &mut [f32],
    clip_map: &mut [f32],
) -> (ImageTerms, ImageTerms) {
    if bounds.have_term() {
        clipped::<E, true>(grad, y, bias, bounds, affine_map, clip_map)
    } else {
        clipped::<E, false>(grad, y, bias, bounds, affine_map, clip_map)
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn clipped_avx2<E: Element>(
    grad: &mut [E],
    y: &[E],
    bias: &[f32],
    bounds: Bounds,
    affine_map: &mut [f32],
    clip_map: &mut [f32],
) -> (ImageTerms, ImageTerms) {
    clipped_any(grad, y, bias, bounds, affine_map, clip_map)
}

/// The term of an affine node that no activation clips, for one image: `grad` is pixels x channels, `map` a sum of magnitudes a pixel.
pub fn plain_terms<E: Element>(grad: &[E], bias: &[f32], map: &mut [f32]) -> ImageTerms {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the processor has the features that the function is compiled for.
        return unsafe { plain_avx2(grad, bias, map) };
    }
    plain(grad, bias, map)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn plain_avx2<E: Element>(grad: &[E], bias: &[f32], map: &mut [f32]) -> ImageTerms {
    plain(grad, bias, map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::bf16;
    use proptest::prelude::*;

    /// The definition, in f64, value by value.
    fn reference(terms: &[f64], channels: usize) -> (f64, f64, f64, Vec<f64>) {
        let magnitudes: Vec<f64> = terms.iter().map(|t| t.abs()).collect();
        let map = magnitudes.chunks_exact(channels).map(|pixel| pixel.iter().sum()).collect();
        let smallest = magnitudes.iter().copied().fold(f64::INFINITY, f64::min);
        (terms.iter().sum(), smallest, magnitudes.iter().copied().fold(0.0, f64::max), map)
    }

    fn agree(found: ImageTerms, map: &[f32], terms: &[f64], channels: usize) {
        let (sum, smallest, largest, pixels) = reference(terms, channels);
        let size: f64 = terms.iter().map(|t| t.abs()).sum::<f64>() + 1e-9;
        assert!((found.sum - sum).abs() <= 1e-5 * size, "sum {} and {sum}", found.sum);
        assert!((f64::from(found.smallest) - smallest).abs() <= 1e-6 * (1.0 + smallest), "smallest {} and {smallest}", found.smallest);
        assert!((f64::from(found.largest) - largest).abs() <= 1e-6 * (1.0 + largest), "largest {} and {largest}", found.largest);
        for (a, b) in map.iter().zip(pixels) {
            assert!((f64::from(*a) - b).abs() <= 1e-5 * (1.0 + b), "pixel {a} and {b}");
        }
    }

    fn check<E: Element>(channels: usize, bounds: Bounds, values: &[(f32, f32)], bias: &[f32]) {
        let grad: Vec<E> = values.iter().map(|v| E::store(v.0)).collect();
        let y: Vec<E> = values.iter().map(|v| E::store(v.1.clamp(bounds.low, bounds.high))).collect();
        let pixels = values.len() / channels;
        let (mut affine_map, mut clip_map, mut masked) = (vec![0.0; pixels], vec![0.0; pixels], grad.clone());
        let (affine, clip) = clipped_terms(&mut masked, &y, bias, bounds, &mut affine_map, &mut clip_map);
        let pairs = || grad.iter().zip(&y).map(|(g, y)| (g.load(), y.load()));
        let passed: Vec<f32> = pairs().map(|(g, y)| if y > bounds.low && y < bounds.high { g } else { 0.0 }).collect();
        assert_eq!(masked.iter().map(|g| g.load()).collect::<Vec<_>>(), passed);
        let terms: Vec<f64> = passed.iter().enumerate().map(|(i, g)| f64::from(*g) * f64::from(bias[i % channels])).collect();
        agree(affine, &affine_map, &terms, channels);
        if bounds.have_term() {
            let reached = |y: f32| if y >= bounds.high { bounds.high } else if y <= bounds.low { bounds.low } else { 0.0 };
            let terms: Vec<f64> = pairs().map(|(g, y)| f64::from(g) * f64::from(reached(y))).collect();
            agree(clip, &clip_map, &terms, channels);
        }
        let mut map = vec![0.0; pixels];
        let whole = plain_terms(&grad, bias, &mut map);
        let terms: Vec<f64> = grad.iter().enumerate().map(|(i, g)| f64::from(g.load()) * f64::from(bias[i % channels])).collect();
        agree(whole, &map, &terms, channels);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn one_pass_gives_what_the_definition_gives(
            channels in 1usize..40,
            pixels in 1usize..150,
            low in prop_oneof![Just(0.0f32), Just(-1.0)],
            high in prop_oneof![Just(6.0f32), Just(f32::INFINITY), Just(1.0)],
            seed in any::<u64>(),
        ) {
            let mut state = seed | 1;
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                ((state >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * 8.0
            };
            let values: Vec<(f32, f32)> = (0..channels * pixels).map(|_| (next(), next())).collect();
            let bias: Vec<f32> = (0..channels).map(|_| next()).collect();
            check::<f32>(channels, Bounds { low, high }, &values, &bias);
            check::<bf16>(channels, Bounds { low, high }, &values, &bias);
        }
    }

    #[test]
    fn a_gradient_that_is_no_number_is_not_hidden() {
        let (mut maps, y) = ([[0.0f32; 1]; 2], [1.0f32; 8]);
        let mut grad = [1.0f32; 8];
        grad[3] = f32::NAN;
        let [affine_map, clip_map] = &mut maps;
        let (affine, _) = clipped_terms(&mut grad, &y, &[1.0; 8], Bounds { low: 0.0, high: 6.0 }, affine_map, clip_map);
        assert!(affine.sum.is_nan() && maps[0][0].is_nan());
    }
}
