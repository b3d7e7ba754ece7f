//! Softplus: y = log(1 + e^x).
//!
//! Derivative: s(x) = 1 / (1 + e^-x). Bias: y - s(x) x = log(1 + e^-|x|) + |x| s(-|x|), the same on both sides of 0.

use tch::Tensor;

use super::pointwise::{Pointwise, wide};
use crate::error::Result;

/// A smooth Relu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Softplus;

impl Pointwise for Softplus {
    fn name(&self) -> &'static str {
        "Softplus"
    }

    fn value(&self, u: &Tensor) -> Result<Tensor> {
        Ok(u.f_logaddexp(&u.f_new_zeros([], (u.kind(), u.device()))?)?)
    }

    fn adjoint(&self, u: &Tensor, grad: &Tensor) -> Result<Tensor> {
        Ok(wide(u)?.f_sigmoid()?.f_mul(grad)?)
    }

    fn has_bias(&self) -> bool {
        true
    }

    fn bias(&self, u: &Tensor) -> Result<Tensor> {
        let below = u.f_abs()?.f_neg()?;
        Ok(below.f_exp()?.f_log1p()?.f_sub(&below.f_sigmoid()?.f_mul(&below)?)?)
    }
}
