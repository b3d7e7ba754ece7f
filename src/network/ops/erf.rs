//! Erf: y = erf(x), the error function.
//!
//! Derivative: e = 2 / sqrt(pi) e^(-x^2). Bias: erf(x) - e x.

use std::f64::consts::FRAC_2_SQRT_PI;

use tch::Tensor;

use super::pointwise::{Pointwise, wide};
use crate::error::Result;

/// The error function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erf;

impl Pointwise for Erf {
    fn name(&self) -> &'static str {
        "Erf"
    }

    fn value(&self, u: &Tensor) -> Result<Tensor> {
        Ok(u.f_erf()?)
    }

    fn adjoint(&self, u: &Tensor, grad: &Tensor) -> Result<Tensor> {
        Ok(derivative(&wide(u)?)?.f_mul(grad)?)
    }

    fn has_bias(&self) -> bool {
        true
    }

    fn bias(&self, u: &Tensor) -> Result<Tensor> {
        Ok(u.f_erf()?.f_sub(&derivative(u)?.f_mul(u)?)?)
    }
}

fn derivative(u: &Tensor) -> Result<Tensor> {
    Ok(u.f_square()?.f_neg()?.f_exp()?.f_mul_scalar(FRAC_2_SQRT_PI)?)
}
