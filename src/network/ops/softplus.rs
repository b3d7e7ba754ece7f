//! Softplus: y = log(1 + e^x), or turned upside down, y = -log(1 + e^-x).
//!
//! Derivative: s(x) = 1 / (1 + e^-x), turned s(-x). Bias: y - s(x) x = log(1 + e^-|x|) + |x| s(-|x|), the same on both sides of 0; turned,
//! with its sign changed.

use tch::Tensor;

use super::pointwise::{Pointwise, wide};
use crate::error::Result;

/// A smooth Relu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Softplus {
    /// Whether it is minus the Softplus of minus the input: the logarithm of a Sigmoid.
    pub turned: bool,
}

impl Softplus {
    /// ONNX's.
    pub const UPRIGHT: Softplus = Softplus { turned: false };

    fn turn(&self, u: &Tensor) -> Result<Tensor> {
        Ok(if self.turned { u.f_neg()? } else { u.shallow_clone() })
    }
}

impl Pointwise for Softplus {
    fn name(&self) -> &'static str {
        if self.turned { "LogSigmoid" } else { "Softplus" }
    }

    fn value(&self, u: &Tensor) -> Result<Tensor> {
        let u = self.turn(u)?;
        self.turn(&u.f_logaddexp(&u.f_new_zeros([], (u.kind(), u.device()))?)?)
    }

    fn adjoint(&self, u: &Tensor, grad: &Tensor) -> Result<Tensor> {
        Ok(self.turn(&wide(u)?)?.f_sigmoid()?.f_mul(grad)?)
    }

    fn has_bias(&self) -> bool {
        true
    }

    fn bias(&self, u: &Tensor) -> Result<Tensor> {
        let below = u.f_abs()?.f_neg()?;
        self.turn(&below.f_exp()?.f_log1p()?.f_sub(&below.f_sigmoid()?.f_mul(&below)?)?)
    }
}
