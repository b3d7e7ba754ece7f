//! Elu, Selu and Celu: y = gamma x above 0, gamma alpha (e^(beta x) - 1) up to it. Selu alone has gamma, Celu beta = 1 / alpha.
//!
//! Derivative: gamma above 0, gamma alpha beta e^(beta x) up to it. Bias: 0 above 0, gamma alpha (e^(beta x) (1 - beta x) - 1) up to it.

use tch::Tensor;

use super::pointwise::{Pointwise, wide};
use crate::error::Result;
use crate::network::reading::Reading;

/// A rectifier that is exponential below zero.
#[derive(Debug, Clone, PartialEq)]
pub struct Elu {
    /// Depth below zero.
    pub alpha: f64,
    /// Factor within the exponential.
    pub beta: f64,
    /// Factor of everything.
    pub gamma: f64,
}

impl Elu {
    /// Reads an ONNX Elu.
    pub fn read(reading: &Reading) -> Result<Self, String> {
        reading.activation(0)?;
        Ok(Elu { alpha: f64::from(reading.float("alpha", 1.0)?), beta: 1.0, gamma: 1.0 })
    }

    /// Reads an ONNX Selu.
    pub fn read_selu(reading: &Reading) -> Result<Self, String> {
        reading.activation(0)?;
        let (alpha, gamma) = (reading.float("alpha", 1.673_263_2)?, reading.float("gamma", 1.050_701)?);
        Ok(Elu { alpha: f64::from(alpha), beta: 1.0, gamma: f64::from(gamma) })
    }

    /// Reads an ONNX Celu.
    pub fn read_celu(reading: &Reading) -> Result<Self, String> {
        reading.activation(0)?;
        let alpha = f64::from(reading.float("alpha", 1.0)?);
        if alpha == 0.0 {
            return Err("attribute alpha is 0, by which Celu divides".to_owned());
        }
        Ok(Elu { alpha, beta: 1.0 / alpha, gamma: 1.0 })
    }
}

impl Pointwise for Elu {
    fn name(&self) -> &'static str {
        match (self.beta == 1.0, self.gamma == 1.0) {
            (true, true) => "Elu",
            (false, _) => "Celu",
            (true, false) => "Selu",
        }
    }

    fn value(&self, u: &Tensor) -> Result<Tensor> {
        let u = wide(u)?;
        let below = u.f_clamp_max(0.0)?.f_mul_scalar(self.beta)?.f_expm1()?.f_mul_scalar(self.gamma * self.alpha)?;
        Ok(u.f_clamp_min(0.0)?.f_mul_scalar(self.gamma)?.f_add(&below)?)
    }

    fn adjoint(&self, u: &Tensor, grad: &Tensor) -> Result<Tensor> {
        Ok(Tensor::f_elu_backward(&wide(grad)?, self.alpha, self.gamma, self.beta, false, &wide(u)?)?)
    }

    fn has_bias(&self) -> bool {
        self.alpha != 0.0
    }

    fn bias(&self, u: &Tensor) -> Result<Tensor> {
        let inner = u.f_clamp_max(0.0)?.f_mul_scalar(self.beta)?;
        Ok(inner.f_expm1()?.f_sub(&inner.f_exp()?.f_mul(&inner)?)?.f_mul_scalar(self.gamma * self.alpha)?)
    }
}
