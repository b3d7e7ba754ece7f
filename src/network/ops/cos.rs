//! Cos: y = cos(x).
//!
//! Derivative: -sin(x). Bias: cos(x) + x sin(x).

use tch::Tensor;

use super::pointwise::{Pointwise, wide};
use crate::error::Result;

/// The cosine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cos;

impl Pointwise for Cos {
    fn name(&self) -> &'static str {
        "Cos"
    }

    fn value(&self, u: &Tensor) -> Result<Tensor> {
        Ok(u.f_cos()?)
    }

    fn adjoint(&self, u: &Tensor, grad: &Tensor) -> Result<Tensor> {
        Ok(wide(u)?.f_sin()?.f_neg()?.f_mul(grad)?)
    }

    fn has_bias(&self) -> bool {
        true
    }

    fn bias(&self, u: &Tensor) -> Result<Tensor> {
        Ok(u.f_cos()?.f_add(&u.f_sin()?.f_mul(u)?)?)
    }
}
