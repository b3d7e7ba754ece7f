//! Terms of an affine node and of the clipping activation behind it, for one image, in one pass over the gradient.
//!
//! With g = df/dy of the activation's output y (pixels x channels), bounds low and high, and the affine node's bias b (channels):
//! g' = g where low < y < high, else 0; the affine term is T = g' b; the activation's is U = g times the bound that y has reached.

use super::element::Element;
use super::portable;
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};

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

    /// The bias of the activation whose output is y: the bound that is reached, 0 between them.
    pub fn term(&self, y: f32) -> f32 {
        // An infinite bound is reached by no number; infinity times a gradient of zero would be none.
        let finite = |bound: f32| if bound.is_finite() { bound } else { 0.0 };
        match (y > self.low, y < self.high) {
            (true, true) => 0.0,
            (_, false) => finite(self.high),
            (false, true) => finite(self.low),
        }
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

/// The terms of an affine node and the activation that clips its output, for one image; `grad` becomes the gradient before the clipping.
///
/// `grad` and `y` are pixels x channels, `bias` channels, the maps a sum of magnitudes a pixel; `clip_map` is written only where
/// [`Bounds::have_term`], and the activation's terms are nought elsewhere.
pub fn clipped_terms<E: Element>(
    grad: &mut [E],
    y: &[E],
    bias: &[f32],
    bounds: Bounds,
    affine_map: &mut [f32],
    clip_map: &mut [f32],
) -> (ImageTerms, ImageTerms) {
    let pixels = affine_map.len();
    assert!(grad.len() == y.len() && grad.len() == pixels * bias.len() && clip_map.len() == pixels, "sizes of one image");
    #[cfg(target_arch = "x86_64")]
    if avx512::is_there() {
        // SAFETY: the processor has the features; the sizes are checked above.
        return unsafe {
            if bounds.have_term() {
                avx512::clipped::<E, true>(grad, y, bias, bounds, affine_map, clip_map)
            } else {
                avx512::clipped::<E, false>(grad, y, bias, bounds, affine_map, clip_map)
            }
        };
    }
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the processor has the features; the sizes are checked above.
        return unsafe {
            if bounds.have_term() {
                avx2::clipped::<E, true>(grad, y, bias, bounds, affine_map, clip_map)
            } else {
                avx2::clipped::<E, false>(grad, y, bias, bounds, affine_map, clip_map)
            }
        };
    }
    portable::clipped(grad, y, bias, bounds, affine_map, clip_map)
}

/// The term of an affine node that no activation clips, for one image: `grad` is pixels x channels, `map` a sum of magnitudes a pixel.
pub fn plain_terms<E: Element>(grad: &[E], bias: &[f32], map: &mut [f32]) -> ImageTerms {
    assert!(grad.len() == map.len() * bias.len(), "sizes of one image");
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the processor has the features; the sizes are checked above.
        return unsafe { if avx512::is_there() { avx512::plain(grad, bias, map) } else { avx2::plain(grad, bias, map) } };
    }
    portable::plain(grad, bias, map)
}

/// The term grad * other of two tensors alike, for one image: both are pixels x channels, `map` a sum of magnitudes a pixel.
pub fn product_terms<E: Element>(grad: &[E], other: &[E], channels: usize, map: &mut [f32]) -> ImageTerms {
    assert!(grad.len() == other.len() && grad.len() == map.len() * channels, "sizes of one image");
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the processor has the features; the sizes are checked above.
        return unsafe {
            if avx512::is_there() { avx512::product(grad, other, channels, map) } else { avx2::product(grad, other, channels, map) }
        };
    }
    portable::product(grad, other, channels, map)
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
        let (mut affine_portable, mut clip_portable, mut masked_portable) = (vec![0.0; pixels], vec![0.0; pixels], grad.clone());
        let (affine_2, clip_2) = portable::clipped(&mut masked_portable, &y, bias, bounds, &mut affine_portable, &mut clip_portable);
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            let (mut affine_map, mut clip_map, mut masked_2) = (vec![0.0; pixels], vec![0.0; pixels], grad.clone());
            // SAFETY: the processor has the features, the sizes are those of one image.
            let (affine_2, clip_2) = unsafe { avx2::clipped::<E, true>(&mut masked_2, &y, bias, bounds, &mut affine_map, &mut clip_map) };
            let off = |a: ImageTerms, b: ImageTerms| (a.sum - b.sum).abs() + f64::from((a.largest - b.largest).abs());
            let size: f64 = 1.0 + 64.0 * grad.len() as f64;
            assert!(off(affine, affine_2) <= 1e-5 * size && (!bounds.have_term() || off(clip, clip_2) <= 1e-5 * size));
            assert!(masked.iter().zip(&masked_2).all(|(a, b)| a.load() == b.load()));
        }
        let pairs = || grad.iter().zip(&y).map(|(g, y)| (g.load(), y.load()));
        let passed: Vec<f32> = pairs().map(|(g, y)| if y > bounds.low && y < bounds.high { g } else { 0.0 }).collect();
        assert_eq!(masked.iter().map(|g| g.load()).collect::<Vec<_>>(), passed);
        assert_eq!(masked_portable.iter().map(|g| g.load()).collect::<Vec<_>>(), passed);
        let terms: Vec<f64> = passed.iter().enumerate().map(|(i, g)| f64::from(*g) * f64::from(bias[i % channels])).collect();
        agree(affine, &affine_map, &terms, channels);
        agree(affine_2, &affine_portable, &terms, channels);
        if bounds.have_term() {
            let reached = |y: f32| {
                if y >= bounds.high {
                    bounds.high
                } else if y <= bounds.low {
                    bounds.low
                } else {
                    0.0
                }
            };
            let terms: Vec<f64> = pairs().map(|(g, y)| f64::from(g) * f64::from(reached(y))).collect();
            agree(clip, &clip_map, &terms, channels);
            agree(clip_2, &clip_portable, &terms, channels);
        }
        let mut map = vec![0.0; pixels];
        let whole = plain_terms(&grad, bias, &mut map);
        let terms: Vec<f64> = grad.iter().enumerate().map(|(i, g)| f64::from(g.load()) * f64::from(bias[i % channels])).collect();
        agree(whole, &map, &terms, channels);
        let whole = portable::plain(&grad, bias, &mut map);
        agree(whole, &map, &terms, channels);
        let products: Vec<f64> = pairs().map(|(g, y)| f64::from(g) * f64::from(y)).collect();
        let whole = product_terms(&grad, &y, channels, &mut map);
        agree(whole, &map, &products, channels);
        let whole = portable::product(&grad, &y, channels, &mut map);
        agree(whole, &map, &products, channels);
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
