//! Power: y = x^p for one exponent p, NaN where x < 0 and p is no whole number. ONNX Pow with a constant exponent.
//!
//! Derivative: p x^(p - 1). Bias: (1 - p) x^p.

use tch::Tensor;

use super::pointwise::{Pointwise, wide};
use crate::error::Result;
use crate::network::reading::{Operand, Reading};

/// A power with a fixed exponent.
#[derive(Debug, Clone, PartialEq)]
pub struct Power {
    /// p.
    pub exponent: f64,
}

impl Power {
    /// Reads an ONNX Pow.
    pub fn read(reading: &Reading) -> Result<Self, String> {
        reading.activation(0)?;
        let exponents = match reading.operand(1) {
            Operand::Constant(constant) => constant.floats(),
            _ => None,
        };
        let exponents = match exponents {
            Some(exponents) => exponents,
            None => reading.optional_integers(1)?.unwrap_or_default().into_iter().map(|p| p as f64).collect(),
        };
        match exponents[..] {
            [exponent, ref others @ ..] if others.iter().all(|&other| other == exponent) => Ok(Power { exponent }),
            _ => Err("has different exponents; one for all elements is supported".to_owned()),
        }
    }
}

impl Pointwise for Power {
    fn name(&self) -> &'static str {
        "Pow"
    }

    fn value(&self, u: &Tensor) -> Result<Tensor> {
        Ok(wide(u)?.f_pow_tensor_scalar(self.exponent)?)
    }

    fn adjoint(&self, u: &Tensor, grad: &Tensor) -> Result<Tensor> {
        if self.exponent == 0.0 {
            return Ok(grad.f_zeros_like()?);
        }
        Ok(wide(u)?.f_pow_tensor_scalar(self.exponent - 1.0)?.f_mul_scalar(self.exponent)?.f_mul(grad)?)
    }

    fn has_bias(&self) -> bool {
        self.exponent != 1.0
    }

    fn bias(&self, u: &Tensor) -> Result<Tensor> {
        Ok(u.f_pow_tensor_scalar(self.exponent)?.f_mul_scalar(1.0 - self.exponent)?)
    }
}
