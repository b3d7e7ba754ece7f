//! Log: y = log(x), NaN below 0.
//!
//! Derivative: 1 / x. Bias: log(x) - 1.

use tch::Tensor;

use super::pointwise::{Pointwise, wide};
use crate::error::Result;

/// The natural logarithm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log;

impl Pointwise for Log {
    fn name(&self) -> &'static str {
        "Log"
    }

    fn value(&self, u: &Tensor) -> Result<Tensor> {
        Ok(u.f_log()?)
    }

    fn adjoint(&self, u: &Tensor, grad: &Tensor) -> Result<Tensor> {
        Ok(wide(grad)?.f_div(u)?)
    }

    fn has_bias(&self) -> bool {
        true
    }

    fn bias(&self, u: &Tensor) -> Result<Tensor> {
        Ok(u.f_log()?.f_sub_scalar(1.0)?)
    }
}
