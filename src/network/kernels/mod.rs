//! Passes over memory that make several things at once, for channels-last data on a processor: plain slices, no tch.
//!
//! Each has a portable form and one in AVX2 with FMA, the terms one in AVX-512 too, chosen at run time; all are held against the definition by the same tests.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod depthwise;
mod element;
mod interleave;
mod portable;
#[cfg(target_arch = "x86_64")]
mod prefetch;
mod spread;
mod terms;
mod upsample;

pub use depthwise::{Depthwise, MAX_TAPS, Span};
pub use element::Element;
pub use interleave::interleave;
pub use spread::{PhaseAxis, spread};
pub use terms::{Bounds, ImageTerms, clipped_terms, plain_terms, product_terms};
pub use upsample::upsample_add;
