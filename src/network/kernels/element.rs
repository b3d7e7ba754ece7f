//! Storage types of activations and gradients; arithmetic is in f32.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use half::bf16;

/// A number as it lies in memory.
pub trait Element: Copy + Send + Sync {
    /// As f32.
    fn load(self) -> f32;
    /// From f32, rounded to nearest, ties to even.
    fn store(value: f32) -> Self;

    /// Eight neighbours as f32.
    ///
    /// # Safety
    /// Eight elements can be read at `from`, and the processor has AVX2.
    #[cfg(target_arch = "x86_64")]
    unsafe fn load8(from: *const Self) -> __m256;

    /// Eight neighbours from f32, rounded as [`Element::store`] does.
    ///
    /// # Safety
    /// Eight elements can be written at `to`, and the processor has AVX2.
    #[cfg(target_arch = "x86_64")]
    unsafe fn store8(to: *mut Self, values: __m256);

    /// The neighbours in `mask`, of sixteen, as f32; zeros for the others.
    ///
    /// # Safety
    /// The elements in the mask can be read, and the processor has AVX-512 F, BW and VL.
    #[cfg(target_arch = "x86_64")]
    unsafe fn load16(from: *const Self, mask: __mmask16) -> __m512;

    /// Of the neighbours in `mask`, those stay as they are that are in `kept`; the others become zero.
    ///
    /// # Safety
    /// The elements in the mask can be written, and the processor has AVX-512 F, BW and VL.
    #[cfg(target_arch = "x86_64")]
    unsafe fn keep16(at: *mut Self, mask: __mmask16, kept: __mmask16);
}

impl Element for f32 {
    #[inline(always)]
    fn load(self) -> f32 {
        self
    }

    #[inline(always)]
    fn store(value: f32) -> Self {
        value
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn load8(from: *const Self) -> __m256 {
        unsafe { _mm256_loadu_ps(from) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn store8(to: *mut Self, values: __m256) {
        unsafe { _mm256_storeu_ps(to, values) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    unsafe fn load16(from: *const Self, mask: __mmask16) -> __m512 {
        unsafe { _mm512_maskz_loadu_ps(mask, from) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    unsafe fn keep16(at: *mut Self, mask: __mmask16, kept: __mmask16) {
        unsafe { _mm512_mask_storeu_ps(at, mask, _mm512_maskz_loadu_ps(mask & kept, at)) }
    }
}

impl Element for bf16 {
    #[inline(always)]
    fn load(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }

    /// NaN stays NaN: the upper bits of its payload are kept, and one of them set.
    #[inline(always)]
    fn store(value: f32) -> Self {
        let bits = value.to_bits();
        let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
        let nan = (bits >> 16) | 0x40;
        bf16::from_bits(if value.is_nan() { nan } else { rounded } as u16)
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn load8(from: *const Self) -> __m256 {
        let bits = _mm256_cvtepu16_epi32(unsafe { _mm_loadu_si128(from.cast()) });
        _mm256_castsi256_ps(_mm256_slli_epi32(bits, 16))
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn store8(to: *mut Self, values: __m256) {
        let bits = _mm256_castps_si256(values);
        let upper = _mm256_srli_epi32(bits, 16);
        let odd = _mm256_and_si256(upper, _mm256_set1_epi32(1));
        let rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))), 16);
        let nan = _mm256_castps_si256(_mm256_cmp_ps(values, values, _CMP_UNORD_Q));
        let words = _mm256_blendv_epi8(rounded, _mm256_or_si256(upper, _mm256_set1_epi32(0x40)), nan);
        let packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(words, words), 0b1000);
        unsafe { _mm_storeu_si128(to.cast(), _mm256_castsi256_si128(packed)) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    unsafe fn load16(from: *const Self, mask: __mmask16) -> __m512 {
        let bits = _mm512_cvtepu16_epi32(unsafe { _mm256_maskz_loadu_epi16(mask, from.cast()) });
        _mm512_castsi512_ps(_mm512_slli_epi32::<16>(bits))
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    unsafe fn keep16(at: *mut Self, mask: __mmask16, kept: __mmask16) {
        unsafe { _mm256_mask_storeu_epi16(at.cast(), mask, _mm256_maskz_loadu_epi16(mask & kept, at.cast())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_rounds_as_the_half_crate_does() {
        for bits in (0..=u32::MAX).step_by(65_521) {
            let value = f32::from_bits(bits);
            let (ours, theirs) = (<bf16 as Element>::store(value), bf16::from_f32(value));
            assert!(ours == theirs || (ours.is_nan() && theirs.is_nan()), "{value:e}: {ours} and {theirs}");
        }
    }
}
