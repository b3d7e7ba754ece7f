//! Passes over memory that make several things at once, for channels-last data on a processor: plain slices, no tch.
//!
//! The loops are written for lanes of eight and compiled once for the build's processor and once for AVX2 with FMA, which is chosen at
//! run time where the processor has it.

mod element;
mod terms;

pub use element::Element;
pub use terms::{Bounds, ImageTerms, clipped_terms, plain_terms};

/// Channels that are handled together.
const LANES: usize = 8;

/// Lane-wise smallest and largest magnitudes. A NaN is passed over here; it shows in the sums.
#[derive(Clone, Copy)]
struct Extremes {
    smallest: [f32; LANES],
    largest: [f32; LANES],
}

impl Extremes {
    fn new() -> Self {
        Extremes { smallest: [f32::INFINITY; LANES], largest: [0.0; LANES] }
    }

    #[inline(always)]
    fn take(&mut self, magnitudes: &[f32; LANES]) {
        for lane in 0..LANES {
            let m = magnitudes[lane];
            self.smallest[lane] = if m < self.smallest[lane] { m } else { self.smallest[lane] };
            self.largest[lane] = if m > self.largest[lane] { m } else { self.largest[lane] };
        }
    }

    fn reduce(&self) -> (f32, f32) {
        let smallest = self.smallest.iter().fold(f32::INFINITY, |a, &b| if b < a { b } else { a });
        let largest = self.largest.iter().fold(0.0, |a: f32, &b| if b > a { b } else { a });
        (smallest, largest)
    }
}
