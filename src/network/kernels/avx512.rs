//! The passes over terms in AVX-512: sixteen channels at a time, the last of a pixel's channels under a mask.

use std::arch::x86_64::*;

use super::element::Element;
use super::prefetch;
use super::terms::{Bounds, ImageTerms};

/// Channels handled together.
const LANES: usize = 16;
/// Pixels whose signed terms are added up in f32 before they go to f64.
const BLOCK: usize = 32;

/// Whether this processor has what the passes need.
pub fn is_there() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vl")
}

/// What is collected of one term, lane by lane.
struct Lanes {
    signed: __m512,
    smallest: __m512,
    largest: __m512,
    sum: f64,
}

impl Lanes {
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    fn new() -> Self {
        let zero = _mm512_setzero_ps();
        Lanes { signed: zero, smallest: _mm512_set1_ps(f32::INFINITY), largest: zero, sum: 0.0 }
    }

    /// Terms of the channels in `mask`, zero in the others; gives `pixel` with their magnitudes added.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    fn take(&mut self, term: __m512, mask: __mmask16, pixel: __m512) -> __m512 {
        let magnitude = _mm512_abs_ps(term);
        self.signed = _mm512_add_ps(self.signed, term);
        // The second operand is taken where the first is NaN: a NaN is passed over here and shows in the sum.
        self.smallest = _mm512_mask_min_ps(self.smallest, mask, magnitude, self.smallest);
        self.largest = _mm512_max_ps(magnitude, self.largest);
        _mm512_add_ps(pixel, magnitude)
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    fn flush(&mut self) {
        self.sum += f64::from(_mm512_reduce_add_ps(self.signed));
        self.signed = _mm512_setzero_ps();
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn finish(mut self) -> ImageTerms {
        self.flush();
        ImageTerms { sum: self.sum, smallest: _mm512_reduce_min_ps(self.smallest), largest: _mm512_reduce_max_ps(self.largest) }
    }
}

/// The lanes of the channels from `channel` on.
#[inline(always)]
fn lanes(channel: usize, channels: usize) -> __mmask16 {
    if channels - channel >= LANES { !0 } else { (1 << (channels - channel)) - 1 }
}

/// See [`super::clipped_terms`]; `TERM` tells whether the activation has a term.
///
/// # Safety
/// The sizes are those of one image, and the processor has what [`is_there`] asks for.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub unsafe fn clipped<E: Element, const TERM: bool>(
    grad: &mut [E],
    y: &[E],
    bias: &[f32],
    bounds: Bounds,
    affine_map: &mut [f32],
    clip_map: &mut [f32],
) -> (ImageTerms, ImageTerms) {
    let channels = bias.len();
    let (mut affine, mut clip) = (Lanes::new(), Lanes::new());
    let (low, high) = (_mm512_set1_ps(bounds.low), _mm512_set1_ps(bounds.high));
    let (at_low, at_high) = (_mm512_set1_ps(bounds.term(bounds.low)), _mm512_set1_ps(bounds.term(bounds.high)));
    for pixel in 0..affine_map.len() {
        let (mut affine_pixel, mut clip_pixel) = (_mm512_setzero_ps(), _mm512_setzero_ps());
        for channel in (0..channels).step_by(LANES) {
            let (at, mask) = (pixel * channels + channel, lanes(channel, channels));
            prefetch::ahead(y, at);
            // SAFETY: the lanes in the mask end at pixels * channels, the length of both slices, and at the end of the bias.
            let (g, y, b) = unsafe {
                (
                    E::load16(grad.as_ptr().add(at), mask),
                    E::load16(y.as_ptr().add(at), mask),
                    _mm512_maskz_loadu_ps(mask, bias.as_ptr().add(channel)),
                )
            };
            let above = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(y, low);
            let below = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(y, high);
            let passed = above & below;
            // SAFETY: as above.
            unsafe { E::keep16(grad.as_mut_ptr().add(at), mask, passed) };
            affine_pixel = affine.take(_mm512_maskz_mul_ps(passed & mask, g, b), mask, affine_pixel);
            if TERM {
                let bound = _mm512_mask_blend_ps(below, at_high, _mm512_maskz_mov_ps(!above, at_low));
                clip_pixel = clip.take(_mm512_maskz_mul_ps(mask, g, bound), mask, clip_pixel);
            }
        }
        affine_map[pixel] = _mm512_reduce_add_ps(affine_pixel);
        if TERM {
            clip_map[pixel] = _mm512_reduce_add_ps(clip_pixel);
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
/// As [`clipped`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub unsafe fn plain<E: Element>(grad: &[E], bias: &[f32], map: &mut [f32]) -> ImageTerms {
    // SAFETY: the caller's; a bias holds a value a channel.
    unsafe { each(grad, bias.len(), map, |_, channel, mask| _mm512_maskz_loadu_ps(mask, bias.as_ptr().add(channel))) }
}

/// See [`super::product_terms`].
///
/// # Safety
/// As [`clipped`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub unsafe fn product<E: Element>(grad: &[E], other: &[E], channels: usize, map: &mut [f32]) -> ImageTerms {
    // SAFETY: the caller's; `other` is as long as `grad`.
    unsafe {
        each(grad, channels, map, |at, _, mask| {
            prefetch::ahead(other, at);
            E::load16(other.as_ptr().add(at), mask)
        })
    }
}

/// Terms grad * factor; `factor` is given where an element stands, its channel, and the lanes that count.
///
/// # Safety
/// As [`clipped`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
unsafe fn each<E: Element>(grad: &[E], channels: usize, map: &mut [f32], factor: impl Fn(usize, usize, __mmask16) -> __m512) -> ImageTerms {
    let mut collected = Lanes::new();
    for (pixel, map) in map.iter_mut().enumerate() {
        let mut sum = _mm512_setzero_ps();
        for channel in (0..channels).step_by(LANES) {
            let (at, mask) = (pixel * channels + channel, lanes(channel, channels));
            // SAFETY: the lanes in the mask end at pixels * channels, the length of the slice.
            let g = unsafe { E::load16(grad.as_ptr().add(at), mask) };
            sum = collected.take(_mm512_mul_ps(g, factor(at, channel, mask)), mask, sum);
        }
        *map = _mm512_reduce_add_ps(sum);
        if pixel % BLOCK == BLOCK - 1 {
            collected.flush();
        }
    }
    collected.finish()
}
