//! Abs: y = |x|.
//!
//! Homogeneous: the bias is zero. Derivative: the sign, 0 at 0.

use tch::Tensor;

use super::pointwise::Pointwise;
use crate::error::Result;

/// The absolute value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abs;

impl Pointwise for Abs {
    fn name(&self) -> &'static str {
        "Abs"
    }

    fn value(&self, u: &Tensor) -> Result<Tensor> {
        Ok(u.f_abs()?)
    }

    fn adjoint(&self, u: &Tensor, grad: &Tensor) -> Result<Tensor> {
        Ok(u.f_sign()?.f_mul(grad)?)
    }

    fn has_bias(&self) -> bool {
        false
    }

    fn bias(&self, u: &Tensor) -> Result<Tensor> {
        Ok(u.f_zeros_like()?)
    }
}
