//! Gelu: y = x P(x), P the normal distribution's function, or its form by a hyperbolic tangent.
//!
//! Exactly: P(x) = (1 + erf(x / sqrt(2))) / 2, P'(x) = p(x) = e^(-x^2 / 2) / sqrt(2 pi).
//! By tanh: P(x) = (1 + t) / 2, t = tanh(k), k = sqrt(2 / pi) (x + a x^3), a = 0.044715, and P'(x) = (1 - t^2) k' / 2.
//! Derivative: P + x P'. Bias: -x^2 P'.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use tch::Tensor;

use super::pointwise::Pointwise;
use crate::error::Result;
use crate::network::reading::Reading;

const A: f64 = 0.044715;

/// The input times the normal distribution's function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gelu {
    /// Whether by a hyperbolic tangent.
    pub tanh: bool,
}

impl Gelu {
    /// Reads an ONNX Gelu.
    pub fn read(reading: &Reading) -> Result<Self, String> {
        reading.activation(0)?;
        match reading.text("approximate", "none")?.as_str() {
            "none" => Ok(Gelu { tanh: false }),
            "tanh" => Ok(Gelu { tanh: true }),
            other => Err(format!("attribute approximate is {other:?}; \"none\" and \"tanh\" are known")),
        }
    }

    /// As libtorch calls it.
    fn form(&self) -> &'static str {
        if self.tanh { "tanh" } else { "none" }
    }
}

impl Pointwise for Gelu {
    fn name(&self) -> &'static str {
        "Gelu"
    }

    fn value(&self, u: &Tensor) -> Result<Tensor> {
        Ok(u.f_gelu(self.form())?)
    }

    fn adjoint(&self, u: &Tensor, grad: &Tensor) -> Result<Tensor> {
        // The receiver is u.
        Ok(u.f_gelu_backward(grad, self.form())?)
    }

    fn has_bias(&self) -> bool {
        true
    }

    fn bias(&self, u: &Tensor) -> Result<Tensor> {
        let square = u.f_square()?;
        // sqrt(2 / pi), which is twice the normal density's largest value.
        let factor = FRAC_2_SQRT_PI * FRAC_1_SQRT_2;
        let slope = if self.tanh {
            let inner = square.f_mul_scalar(A)?.f_add_scalar(1.0)?.f_mul(u)?.f_mul_scalar(2.0 * factor)?;
            // (1 - t^2) / 2 = 2 s(2k) s(-2k), which is no difference of two numbers close to 1.
            let half = inner.f_sigmoid()?.f_mul(&inner.f_neg()?.f_sigmoid()?)?.f_mul_scalar(2.0 * factor)?;
            half.f_mul(&square.f_mul_scalar(3.0 * A)?.f_add_scalar(1.0)?)?
        } else {
            square.f_mul_scalar(-0.5)?.f_exp()?.f_mul_scalar(factor / 2.0)?
        };
        Ok(slope.f_mul(&square)?.f_neg()?)
    }
}
