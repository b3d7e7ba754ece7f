//! Softsign: y = x / (1 + |x|).
//!
//! Derivative: 1 / (1 + |x|)^2. Bias: x / (1 + |x|) - x / (1 + |x|)^2 = y |y|.

use tch::Tensor;

use super::pointwise::{Pointwise, wide};
use crate::error::Result;

/// A sigmoid of two hyperbolas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Softsign;

impl Pointwise for Softsign {
    fn name(&self) -> &'static str {
        "Softsign"
    }

    fn value(&self, u: &Tensor) -> Result<Tensor> {
        let u = wide(u)?;
        Ok(u.f_div(&u.f_abs()?.f_add_scalar(1.0)?)?)
    }

    fn adjoint(&self, u: &Tensor, grad: &Tensor) -> Result<Tensor> {
        Ok(wide(grad)?.f_div(&wide(u)?.f_abs()?.f_add_scalar(1.0)?.f_square()?)?)
    }

    fn has_bias(&self) -> bool {
        true
    }

    fn bias(&self, u: &Tensor) -> Result<Tensor> {
        let y = self.value(u)?;
        Ok(y.f_mul(&y.f_abs()?)?)
    }
}
