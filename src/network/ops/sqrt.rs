//! Sqrt: y = sqrt(x), NaN below 0.
//!
//! Derivative: 1 / (2 y), infinite at 0. Bias: y / 2.

use tch::Tensor;

use super::pointwise::{Pointwise, wide};
use crate::error::Result;

/// The square root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sqrt;

impl Pointwise for Sqrt {
    fn name(&self) -> &'static str {
        "Sqrt"
    }

    fn value(&self, u: &Tensor) -> Result<Tensor> {
        Ok(u.f_sqrt()?)
    }

    fn adjoint(&self, u: &Tensor, grad: &Tensor) -> Result<Tensor> {
        Ok(wide(grad)?.f_div(&wide(u)?.f_sqrt()?.f_mul_scalar(2.0)?)?)
    }

    fn has_bias(&self) -> bool {
        true
    }

    fn bias(&self, u: &Tensor) -> Result<Tensor> {
        Ok(u.f_sqrt()?.f_mul_scalar(0.5)?)
    }
}
