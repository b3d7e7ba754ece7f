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
        let twice = u.f_logaddexp(&u.f_zeros_like()?)?.f_mul_scalar(2.0)?;
        // 1 - t^2 = 4 s(2 k) s(-2 k) for t = tanh(k), which is no difference of two numbers close to 1.
        let rest = twice.f_sigmoid()?.f_mul(&twice.f_neg()?.f_sigmoid()?)?.f_mul_scalar(-4.0)?;
        Ok(rest.f_mul(&u.f_sigmoid()?)?.f_mul(&u.f_square()?)?)
    }
}
