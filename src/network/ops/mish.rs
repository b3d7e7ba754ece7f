//! Mish: y = x t, t = tanh(log(1 + e^x)).
//!
//! Derivative: t + x (1 - t^2) s, s = 1 / (1 + e^-x). Bias: -x^2 (1 - t^2) s.

use tch::Tensor;

use super::pointwise::Pointwise;
use crate::error::Result;

/// Mish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mish;

impl Pointwise for Mish {
    fn name(&self) -> &'static str {
        "Mish"
    }

    fn value(&self, u: &Tensor) -> Result<Tensor> {
        Ok(u.f_mish()?)
    }

    fn adjoint(&self, u: &Tensor, grad: &Tensor) -> Result<Tensor> {
        Ok(u.f_mish_backward(grad)?)
    }

    fn has_bias(&self) -> bool {
        true
    }

    fn bias(&self, u: &Tensor) -> Result<Tensor> {
        let t = u.f_logaddexp(&u.f_zeros_like()?)?.f_tanh()?;
        let s = u.f_sigmoid()?;
        Ok(Tensor::f_tanh_backward(&s, &t)?.f_mul(&u.f_square()?)?.f_neg()?)
    }
}
