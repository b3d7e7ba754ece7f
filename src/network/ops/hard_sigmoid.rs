//! HardSigmoid: y = max(0, min(1, alpha x + beta)).
//!
//! Derivative: alpha strictly between 0 and 1, else 0. Bias: beta between, else y.

use tch::Tensor;

use super::pointwise::{Pointwise, wide};
use crate::error::Result;
use crate::network::reading::Reading;

const SIXTH: f64 = 1.0 / 6.0;

/// A sigmoid of straight lines.
#[derive(Debug, Clone, PartialEq)]
pub struct HardSigmoid {
    /// Slope of the line.
    pub alpha: f64,
    /// Where it passes 0.
    pub beta: f64,
}

impl HardSigmoid {
    /// Reads an ONNX HardSigmoid.
    pub fn read(reading: &Reading) -> Result<Self, String> {
        reading.activation(0)?;
        let alpha = reading.float("alpha", 0.2)?;
        // PyTorch's slope, which f32 does not hold.
        let alpha = if alpha == SIXTH as f32 { SIXTH } else { f64::from(alpha) };
        Ok(HardSigmoid { alpha, beta: f64::from(reading.float("beta", 0.5)?) })
    }

    /// The line, and where it lies between the bounds.
    fn line(&self, u: &Tensor) -> Result<(Tensor, Tensor)> {
        let line = u.f_mul_scalar(self.alpha)?.f_add_scalar(self.beta)?;
        let between = line.f_gt(0.0)?.f_logical_and(&line.f_lt(1.0)?)?;
        Ok((line, between))
    }
}

impl Pointwise for HardSigmoid {
    fn name(&self) -> &'static str {
        "HardSigmoid"
    }

    fn value(&self, u: &Tensor) -> Result<Tensor> {
        Ok(wide(u)?.f_mul_scalar(self.alpha)?.f_add_scalar(self.beta)?.f_clamp(0.0, 1.0)?)
    }

    fn adjoint(&self, u: &Tensor, grad: &Tensor) -> Result<Tensor> {
        let (_, between) = self.line(&wide(u)?)?;
        Ok(between.f_to_kind(grad.kind())?.f_mul_scalar(self.alpha)?.f_mul(grad)?)
    }

    fn has_bias(&self) -> bool {
        true
    }

    fn bias(&self, u: &Tensor) -> Result<Tensor> {
        let (line, between) = self.line(u)?;
        Ok(line.f_clamp(0.0, 1.0)?.f_masked_fill(&between, self.beta)?)
    }
}
