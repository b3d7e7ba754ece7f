//! Exp: y = e^x.
//!
//! Derivative: e^x. Bias: e^x (1 - x).

use tch::Tensor;

use super::pointwise::{Pointwise, wide};
use crate::error::Result;

/// The exponential function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exp;

impl Pointwise for Exp {
    fn name(&self) -> &'static str {
        "Exp"
    }

    fn value(&self, u: &Tensor) -> Result<Tensor> {
        Ok(u.f_exp()?)
    }

    fn adjoint(&self, u: &Tensor, grad: &Tensor) -> Result<Tensor> {
        Ok(wide(u)?.f_exp()?.f_mul(grad)?)
    }

    fn has_bias(&self) -> bool {
        true
    }

    fn bias(&self, u: &Tensor) -> Result<Tensor> {
        let y = u.f_exp()?;
        Ok(y.f_sub(&y.f_mul(u)?)?)
    }
}
