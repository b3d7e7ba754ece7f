//! The attribution methods, each on the plan's adjoint pass: in one pass over a batch, or in passes over copies of each picture.

mod copies;
mod grad_cam;
mod input_gradient;
mod integrated;
mod simple_fullgrad;
mod smooth;

pub use copies::Copies;
pub use grad_cam::{GradCam, spot};
pub use input_gradient::InputGradient;
pub use integrated::integrated_gradients;
pub use simple_fullgrad::SimpleFullGrad;
pub use smooth::{smooth_fullgrad, smoothgrad};

use tch::Tensor;

use super::fullgrad::{FullGrad, Sums};
use crate::error::Result;
use crate::network::plan::TermSink;

/// A method that needs one pass: takes what the pass gives, and makes the map of it.
pub trait OnePass: TermSink {
    /// The sums that completeness compares.
    fn sums(&self) -> Result<Sums>;

    /// The sum of each site's term, (N, sites) in f64.
    fn terms(&self) -> Result<Tensor>;

    /// The map (N, 1, H, W) at the input's size, not negative.
    fn map(&self, rows: i64, columns: i64) -> Result<Tensor>;
}

impl OnePass for FullGrad<'_> {
    fn sums(&self) -> Result<Sums> {
        FullGrad::sums(self)
    }

    fn terms(&self) -> Result<Tensor> {
        FullGrad::terms(self)
    }

    fn map(&self, rows: i64, columns: i64) -> Result<Tensor> {
        FullGrad::map(self, rows, columns)
    }
}

/// What a method makes of a batch.
pub struct Found {
    /// (N, 1, H, W), not negative.
    pub map: Tensor,
    /// What should add up to `whole`.
    pub sums: Sums,
    /// Each site's share of them, (N, sites) in f64; the target's own last where it has one.
    pub terms: Tensor,
    /// What the sums are compared with, (N,) in f64.
    pub whole: Tensor,
}

impl Found {
    /// One batch of several.
    pub fn join(parts: &[Found]) -> Result<Self> {
        let cat = |part: fn(&Found) -> &Tensor| -> Result<Tensor> { Ok(Tensor::f_cat(&parts.iter().map(part).collect::<Vec<_>>(), 0)?) };
        let sums = Sums {
            input_term: cat(|found| &found.sums.input_term)?,
            bias_term_total: cat(|found| &found.sums.bias_term_total)?,
            magnitude: cat(|found| &found.sums.magnitude)?,
        };
        Ok(Found { map: cat(|found| &found.map)?, sums, terms: cat(|found| &found.terms)?, whole: cat(|found| &found.whole)? })
    }

    /// Adds what the target itself adds to the bias terms, (N,) in f64.
    pub fn with_target(mut self, bias: Option<Tensor>) -> Result<Self> {
        if let Some(bias) = bias {
            let bias = bias.f_to_device(self.sums.magnitude.device())?;
            self.sums.bias_term_total = self.sums.bias_term_total.f_add(&bias)?;
            self.sums.magnitude = self.sums.magnitude.f_add(&bias.f_abs()?)?;
            self.terms = Tensor::f_cat(&[&self.terms, &bias.f_to_device(self.terms.device())?.f_unsqueeze(1)?], 1)?;
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests;
