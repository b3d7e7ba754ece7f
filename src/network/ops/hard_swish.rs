//! HardSwish: y = x max(0, min(1, x / 6 + 1/2)).
//!
//! Derivative: 0 up to -3, 1 from 3 on, x / 3 + 1/2 between. Bias: -x^2 / 6 between, else 0.

use tch::Tensor;

use super::pointwise::Pointwise;
use crate::error::Result;

/// A Silu of straight lines and one parabola.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HardSwish;

impl Pointwise for HardSwish {
    fn name(&self) -> &'static str {
        "HardSwish"
    }

    fn value(&self, u: &Tensor) -> Result<Tensor> {
        Ok(u.f_hardswish()?)
    }

    fn adjoint(&self, u: &Tensor, grad: &Tensor) -> Result<Tensor> {
        Ok(u.f_hardswish_backward(grad)?)
    }

    fn has_bias(&self) -> bool {
        true
    }

    fn bias(&self, u: &Tensor) -> Result<Tensor> {
        let outside = u.f_abs()?.f_ge(3.0)?;
        Ok(u.f_square()?.f_div_scalar(-6.0)?.f_masked_fill(&outside, 0.0)?)
    }
}
