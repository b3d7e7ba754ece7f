//! Sin: y = sin(x).
//!
//! Derivative: cos(x). Bias: sin(x) - x cos(x).

use tch::Tensor;

use super::pointwise::{Pointwise, wide};
use crate::error::Result;

/// The sine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sin;

impl Pointwise for Sin {
    fn name(&self) -> &'static str {
        "Sin"
    }

    fn value(&self, u: &Tensor) -> Result<Tensor> {
        Ok(u.f_sin()?)
    }

    fn adjoint(&self, u: &Tensor, grad: &Tensor) -> Result<Tensor> {
        Ok(wide(u)?.f_cos()?.f_mul(grad)?)
    }

    fn has_bias(&self) -> bool {
        true
    }

    fn bias(&self, u: &Tensor) -> Result<Tensor> {
        Ok(u.f_sin()?.f_sub(&u.f_cos()?.f_mul(u)?)?)
    }
}
