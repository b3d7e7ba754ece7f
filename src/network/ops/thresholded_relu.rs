//! ThresholdedRelu: y = x where x > alpha, 0 elsewhere.
//!
//! Homogeneous on either side: the bias is zero. Derivative: 1 where x > alpha, 0 elsewhere, at alpha too.

use tch::Tensor;

use super::pointwise::Pointwise;
use crate::error::Result;
use crate::network::reading::Reading;

/// The identity above a threshold.
#[derive(Debug, Clone, PartialEq)]
pub struct ThresholdedRelu {
    /// The threshold.
    pub alpha: f64,
}

impl ThresholdedRelu {
    /// Reads an ONNX ThresholdedRelu.
    pub fn read(reading: &Reading) -> Result<Self, String> {
        reading.activation(0)?;
        Ok(ThresholdedRelu { alpha: f64::from(reading.float("alpha", 1.0)?) })
    }
}

impl Pointwise for ThresholdedRelu {
    fn name(&self) -> &'static str {
        "ThresholdedRelu"
    }

    fn value(&self, u: &Tensor) -> Result<Tensor> {
        Ok(u.f_threshold(self.alpha, 0.0)?)
    }

    fn adjoint(&self, u: &Tensor, grad: &Tensor) -> Result<Tensor> {
        // The receiver is u.
        Ok(u.f_threshold_backward(grad, self.alpha)?)
    }

    fn has_bias(&self) -> bool {
        false
    }

    fn bias(&self, u: &Tensor) -> Result<Tensor> {
        Ok(u.f_zeros_like()?)
    }
}
