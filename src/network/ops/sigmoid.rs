//! Sigmoid: y = s = 1 / (1 + e^-x).
//!
//! Derivative: s (1 - s). Bias: s (1 - (1 - s) x).

use tch::Tensor;

use super::pointwise::{Pointwise, wide};
use crate::error::Result;

/// The logistic function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sigmoid;

impl Pointwise for Sigmoid {
    fn name(&self) -> &'static str {
        "Sigmoid"
    }

    fn value(&self, u: &Tensor) -> Result<Tensor> {
        Ok(u.f_sigmoid()?)
    }

    fn adjoint(&self, u: &Tensor, grad: &Tensor) -> Result<Tensor> {
        Ok(Tensor::f_sigmoid_backward(&wide(grad)?, &wide(u)?.f_sigmoid()?)?)
    }

    fn has_bias(&self) -> bool {
        true
    }

    fn bias(&self, u: &Tensor) -> Result<Tensor> {
        let s = u.f_sigmoid()?;
        // 1 - s, which is no difference of two numbers close to 1 where x is large.
        let rest = u.f_neg()?.f_sigmoid()?;
        Ok(s.f_sub(&s.f_mul(&rest)?.f_mul(u)?)?)
    }
}
