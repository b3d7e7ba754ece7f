//! psi without its upsampling: |T| scaled to [0, 1] for each image, its channels summed.

use tch::Tensor;

use crate::error::Result;
use crate::network::plan::Reduced;

/// Keeps the division finite; the authors' value.
const EPSILON: f64 = 1e-6;

/// Over what smallest and largest are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rescale {
    /// Over a node's channels and pixels together, as the authors do.
    #[default]
    Node,
    /// Over each channel by itself, as pytorch-grad-cam does.
    Channel,
}

impl Rescale {
    /// sum over c of rescale(|T|) for a term (N, C, h, w); gives (N, 1, h, w).
    pub fn map(self, term: &Tensor) -> Result<Tensor> {
        let size = term.f_abs()?;
        let axes: &[i64] = match self {
            Rescale::Node => &[1, 2, 3],
            Rescale::Channel => &[2, 3],
        };
        let (smallest, largest) = (size.f_amin(axes, true)?, size.f_amax(axes, true)?);
        let range = largest.f_sub(&smallest)?.f_add_scalar(EPSILON)?;
        match self {
            Rescale::Node => {
                let channels = size.size()[1] as f64;
                let sum = size.f_sum_dim_intlist([1].as_slice(), true, size.kind())?;
                Ok(sum.f_sub(&smallest.f_mul_scalar(channels)?)?.f_div(&range)?)
            }
            Rescale::Channel => {
                let scaled = size.f_sub(&smallest)?.f_div(&range)?;
                Ok(scaled.f_sum_dim_intlist([1].as_slice(), true, size.kind())?)
            }
        }
    }
}

/// Adds a reduced term's map to `sums` (N, h, w): (sum over c of |T| - C min) / (max - min + epsilon).
pub fn add_reduced(terms: &Reduced, sums: &mut [f32]) {
    let pixels = terms.size.0 * terms.size.1;
    let channels = terms.channels as f32;
    for (image, (map, sum)) in terms.maps.chunks_exact(pixels).zip(sums.chunks_exact_mut(pixels)).enumerate() {
        let offset = channels * terms.smallest[image];
        let factor = 1.0 / (terms.largest[image] - terms.smallest[image] + EPSILON as f32);
        for (s, m) in sum.iter_mut().zip(map) {
            *s += (m - offset) * factor;
        }
    }
}
