//! Silu, ONNX's Swish: y = x s, s = 1 / (1 + e^(-alpha x)).
//!
//! Derivative: s + alpha x s (1 - s). Bias: -alpha x^2 s (1 - s).

use tch::Tensor;

use super::pointwise::{Pointwise, wide};
use crate::error::Result;
use crate::network::reading::Reading;

/// The input times its sigmoid.
#[derive(Debug, Clone, PartialEq)]
pub struct Silu {
    /// Factor within the sigmoid.
    pub alpha: f64,
}

impl Silu {
    /// Reads an ONNX Swish.
    pub fn read(reading: &Reading) -> Result<Self, String> {
        reading.activation(0)?;
        Ok(Silu { alpha: f64::from(reading.float("alpha", 1.0)?) })
    }

    /// s and s (1 - s).
    fn sigmoid(&self, u: &Tensor) -> Result<(Tensor, Tensor)> {
        let inner = u.f_mul_scalar(self.alpha)?;
        let s = inner.f_sigmoid()?;
        let slope = s.f_mul(&inner.f_neg()?.f_sigmoid()?)?;
        Ok((s, slope))
    }
}

impl Pointwise for Silu {
    fn name(&self) -> &'static str {
        "Silu"
    }

    fn value(&self, u: &Tensor) -> Result<Tensor> {
        if self.alpha == 1.0 {
            return Ok(u.f_silu()?);
        }
        let u = wide(u)?;
        Ok(u.f_mul_scalar(self.alpha)?.f_sigmoid()?.f_mul(&u)?)
    }

    fn adjoint(&self, u: &Tensor, grad: &Tensor) -> Result<Tensor> {
        if self.alpha == 1.0 {
            // The receiver is u.
            return Ok(u.f_silu_backward(grad)?);
        }
        let u = wide(u)?;
        let (s, slope) = self.sigmoid(&u)?;
        Ok(slope.f_mul(&u)?.f_mul_scalar(self.alpha)?.f_add(&s)?.f_mul(grad)?)
    }

    fn has_bias(&self) -> bool {
        self.alpha != 0.0
    }

    fn bias(&self, u: &Tensor) -> Result<Tensor> {
        let (_, slope) = self.sigmoid(u)?;
        Ok(slope.f_mul(&u.f_square()?)?.f_mul_scalar(-self.alpha)?)
    }
}
