//! The passes in AVX2 with FMA: eight channels at a time, the rest of a pixel's channels one by one.

use std::arch::x86_64::*;

use super::element::Element;
use super::prefetch;
use super::terms::{Bounds, ImageTerms};

/// Channels handled together.
const LANES: usize = 8;
/// Pixels whose signed terms are added up in f32 before they go to f64.
const BLOCK: usize = 32;

/// What is collected of one term, lane by lane.
#[derive(Clone, Copy)]
struct Lanes {
    signed: __m256,
    smallest: __m256,
    largest: __m256,
    sum: f64,
    one_signed: f32,
    one_smallest: f32,
    one_largest: f32,
}

impl Lanes {
    #[target_feature(enable = "avx2,fma")]
    #[inline]
    fn new() -> Self {
        let zero = _mm256_setzero_ps();
        let infinity = f32::INFINITY;
        Lanes {
            signed: zero,
            smallest: _mm256_set1_ps(infinity),
            largest: zero,
            sum: 0.0,
            one_signed: 0.0,
            one_smallest: infinity,
            one_largest: 0.0,
        }
    }

    /// Eight terms; gives `pixel` with their magnitudes added.
    #[target_feature(enable = "avx2,fma")]
    #[inline]
    fn take(&mut self, term: __m256, pixel: __m256) -> __m256 {
        let magnitude = _mm256_andnot_ps(_mm256_set1_ps(-0.0), term);
        self.signed = _mm256_add_ps(self.signed, term);
        // The second operand is taken where the first is NaN: a NaN is passed over here and shows in the sum.
        self.smallest = _mm256_min_ps(magnitude, self.smallest);
        self.largest = _mm256_max_ps(magnitude, self.largest);
        _mm256_add_ps(pixel, magnitude)
    }

    #[inline(always)]
    fn take_one(&mut self, term: f32) -> f32 {
        let magnitude = term.abs();
        self.one_signed += term;
        self.one_smallest = self.one_smallest.min(magnitude);
        self.one_largest = self.one_largest.max(magnitude);
        magnitude
    }

    #[target_feature(enable = "avx2,fma")]
    #[inline]
    fn flush(&mut self) {
        self.sum += f64::from(horizontal(self.signed)) + f64::from(self.one_signed);
        self.signed = _mm256_setzero_ps();
        self.one_signed = 0.0;
    }

    #[target_feature(enable = "avx2,fma")]
    fn finish(mut self) -> ImageTerms {
        self.flush();
        let spread = |lanes: __m256| {
            let mut values = [0.0f32; LANES];
            // SAFETY: the array holds eight values.
            unsafe { _mm256_storeu_ps(values.as_mut_ptr(), lanes) };
            values
        };
        ImageTerms {
            sum: self.sum,
            smallest: spread(self.smallest).into_iter().fold(self.one_smallest, f32::min),
            largest: spread(self.largest).into_iter().fold(self.one_largest, f32::max),
        }
    }
}

#[target_feature(enable = "avx2,fma")]
#[inline]
fn horizontal(lanes: __m256) -> f32 {
    let four = _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps(lanes, 1));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)))
}

/// See [`super::clipped_terms`]; `TERM` tells whether the activation has a term.
///
/// # Safety
/// The sizes are those of one image.
#[target_feature(enable = "avx2,fma")]
pub unsafe fn clipped<E: Element, const TERM: bool>(
    grad: &mut [E],
    y: &[E],
    bias: &[f32],
    bounds: Bounds,
    affine_map: &mut [f32],
    clip_map: &mut [f32],
) -> (ImageTerms, ImageTerms) {
    let channels = bias.len();
    let whole = channels - channels % LANES;
    let (mut affine, mut clip) = (Lanes::new(), Lanes::new());
    let (low, high) = (_mm256_set1_ps(bounds.low), _mm256_set1_ps(bounds.high));
    let (at_low, at_high) = (_mm256_set1_ps(bounds.term(bounds.low)), _mm256_set1_ps(bounds.term(bounds.high)));
    for pixel in 0..affine_map.len() {
        let (mut affine_pixel, mut clip_pixel) = (_mm256_setzero_ps(), _mm256_setzero_ps());
        let start = pixel * channels;
        let mut channel = 0;
        while channel < whole {
            prefetch::ahead(y, start + channel);
            // SAFETY: start + channel + 8 is at most pixels * channels, the length of both slices; channel + 8 at most that of the bias.
            let (g, y, b) = unsafe {
                let at = start + channel;
                (E::load8(grad.as_ptr().add(at)), E::load8(y.as_ptr().add(at)), _mm256_loadu_ps(bias.as_ptr().add(channel)))
            };
            let above = _mm256_cmp_ps(y, low, _CMP_GT_OQ);
            let below = _mm256_cmp_ps(y, high, _CMP_LT_OQ);
            let passed = _mm256_and_ps(g, _mm256_and_ps(above, below));
            // SAFETY: as above.
            unsafe { E::store8(grad.as_mut_ptr().add(start + channel), passed) };
            affine_pixel = affine.take(_mm256_mul_ps(passed, b), affine_pixel);
            if TERM {
                let bound = _mm256_blendv_ps(at_high, _mm256_andnot_ps(above, at_low), below);
                clip_pixel = clip.take(_mm256_mul_ps(g, bound), clip_pixel);
            }
            channel += LANES;
        }
        let (mut affine_sum, mut clip_sum) = (horizontal(affine_pixel), horizontal(clip_pixel));
        for channel in whole..channels {
            let (g, y) = (grad[start + channel].load(), y[start + channel].load());
            let passed = if y > bounds.low && y < bounds.high { g } else { 0.0 };
            grad[start + channel] = E::store(passed);
            affine_sum += affine.take_one(passed * bias[channel]);
            if TERM {
                clip_sum += clip.take_one(g * bounds.term(y));
            }
        }
        affine_map[pixel] = affine_sum;
        if TERM {
            clip_map[pixel] = clip_sum;
        }
        if pixel % BLOCK == BLOCK - 1 {
            affine.flush();
            clip.flush();
        }
    }
    (affine.finish(), clip.finish())
}

/// See [`super::plain_terms`].
///
/// # Safety
/// The sizes are those of one image.
#[target_feature(enable = "avx2,fma")]
pub unsafe fn plain<E: Element>(grad: &[E], bias: &[f32], map: &mut [f32]) -> ImageTerms {
    let channels = bias.len();
    let whole = channels - channels % LANES;
    let mut lanes = Lanes::new();
    for (pixel, map) in map.iter_mut().enumerate() {
        let mut sum = _mm256_setzero_ps();
        let start = pixel * channels;
        let mut channel = 0;
        while channel < whole {
            // SAFETY: start + channel + 8 is at most pixels * channels, channel + 8 at most channels.
            let (g, b) = unsafe { (E::load8(grad.as_ptr().add(start + channel)), _mm256_loadu_ps(bias.as_ptr().add(channel))) };
            sum = lanes.take(_mm256_mul_ps(g, b), sum);
            channel += LANES;
        }
        *map = horizontal(sum);
        for channel in whole..channels {
            *map += lanes.take_one(grad[start + channel].load() * bias[channel]);
        }
        if pixel % BLOCK == BLOCK - 1 {
            lanes.flush();
        }
    }
    lanes.finish()
}

/// See [`super::product_terms`].
///
/// # Safety
/// The sizes are those of one image.
#[target_feature(enable = "avx2,fma")]
pub unsafe fn product<E: Element>(grad: &[E], other: &[E], channels: usize, map: &mut [f32]) -> ImageTerms {
    let whole = channels - channels % LANES;
    let mut lanes = Lanes::new();
    for (pixel, map) in map.iter_mut().enumerate() {
        let mut sum = _mm256_setzero_ps();
        let start = pixel * channels;
        let mut channel = 0;
        while channel < whole {
            let at = start + channel;
            prefetch::ahead(other, at);
            // SAFETY: start + channel + 8 is at most pixels * channels, the length of both slices.
            let (g, o) = unsafe { (E::load8(grad.as_ptr().add(at)), E::load8(other.as_ptr().add(at))) };
            sum = lanes.take(_mm256_mul_ps(g, o), sum);
            channel += LANES;
        }
        *map = horizontal(sum);
        for at in start + whole..start + channels {
            *map += lanes.take_one(grad[at].load() * other[at].load());
        }
        if pixel % BLOCK == BLOCK - 1 {
            lanes.flush();
        }
    }
    lanes.finish()
}

/// Vectors of channels whose sums run side by side, so that one does not wait for another.
const ABREAST: usize = 4;

/// See [`super::portable::weighted_sum`].
///
/// # Safety
/// Each tap's channels lie inside `source` and `weight`; `start` and `pixel` hold a value a channel.
#[target_feature(enable = "avx2,fma")]
pub unsafe fn weighted_sum<E: Element>(
    source: &[E],
    weight: &[f32],
    taps: &[(usize, usize)],
    start: &[f32],
    bounds: Bounds,
    pixel: &mut [E],
) {
    let channels = pixel.len();
    let (low, high) = (_mm256_set1_ps(bounds.low), _mm256_set1_ps(bounds.high));
    let mut channel = 0;
    while channel + ABREAST * LANES <= channels {
        // SAFETY: channel + 32 is at most the number of channels.
        unsafe { lanes_of_sums::<E, ABREAST>(source, weight, taps, start, (low, high), pixel, channel) };
        channel += ABREAST * LANES;
    }
    while channel + LANES <= channels {
        // SAFETY: channel + 8 is at most the number of channels.
        unsafe { lanes_of_sums::<E, 1>(source, weight, taps, start, (low, high), pixel, channel) };
        channel += LANES;
    }
    for channel in channel..channels {
        let sum = taps.iter().fold(start[channel], |sum, tap| source[tap.0 + channel].load().mul_add(weight[tap.1 + channel], sum));
        pixel[channel] = E::store(sum.max(bounds.low).min(bounds.high));
    }
}

/// The sums of `N` vectors of channels from `channel` on.
///
/// # Safety
/// As [`weighted_sum`], and `channel + 8 N` is at most the number of channels.
#[target_feature(enable = "avx2,fma")]
#[inline]
unsafe fn lanes_of_sums<E: Element, const N: usize>(
    source: &[E],
    weight: &[f32],
    taps: &[(usize, usize)],
    start: &[f32],
    (low, high): (__m256, __m256),
    pixel: &mut [E],
    channel: usize,
) {
    let mut sums = [_mm256_setzero_ps(); N];
    // SAFETY: the caller keeps all offsets inside the slices.
    unsafe {
        for (n, sum) in sums.iter_mut().enumerate() {
            *sum = _mm256_loadu_ps(start.as_ptr().add(channel + n * LANES));
        }
        for &(at, weights) in taps {
            for (n, sum) in sums.iter_mut().enumerate() {
                let values = E::load8(source.as_ptr().add(at + channel + n * LANES));
                let weights = _mm256_loadu_ps(weight.as_ptr().add(weights + channel + n * LANES));
                *sum = _mm256_fmadd_ps(values, weights, *sum);
            }
        }
        for (n, sum) in sums.iter().enumerate() {
            let clipped = _mm256_min_ps(high, _mm256_max_ps(low, *sum));
            E::store8(pixel.as_mut_ptr().add(channel + n * LANES), clipped);
        }
    }
}
