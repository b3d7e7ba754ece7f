//! Tanh: y = t = tanh(x).
//!
//! Derivative: 1 - t^2. Bias: t - (1 - t^2) x.

use tch::Tensor;

use super::pointwise::{Pointwise, wide};
use crate::error::Result;

/// The hyperbolic tangent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tanh;

impl Pointwise for Tanh {
    fn name(&self) -> &'static str {
        "Tanh"
    }

    fn value(&self, u: &Tensor) -> Result<Tensor> {
        Ok(u.f_tanh()?)
    }

    fn adjoint(&self, u: &Tensor, grad: &Tensor) -> Result<Tensor> {
        Ok(Tensor::f_tanh_backward(&wide(grad)?, &wide(u)?.f_tanh()?)?)
    }

    fn has_bias(&self) -> bool {
        true
    }

    fn bias(&self, u: &Tensor) -> Result<Tensor> {
        let t = u.f_tanh()?;
        Ok(t.f_sub(&Tensor::f_tanh_backward(u, &t)?)?)
    }
}
