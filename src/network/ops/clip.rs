//! Clip: y = min(max(x, low), high). ReLU6 is Clip(0, 6).
//!
//! Derivative: 1 strictly between the bounds, 0 at and beyond them. Bias: y - y' x, which is the bound where it saturates and 0 between.
//! Both are read from y: between the bounds y is x, and beyond them y is the bound.

use tch::Tensor;

use crate::error::Result;
use crate::network::op::{Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
use crate::network::reading::Reading;

/// A bounded identity.
#[derive(Debug, Clone, PartialEq)]
pub struct Clip {
    /// Lower bound, -infinity where there is none.
    pub low: f64,
    /// Upper bound, infinity where there is none.
    pub high: f64,
}

impl Clip {
    /// Reads an ONNX Clip: bounds are attributes before opset 11, inputs from then on.
    pub fn read(reading: &Reading) -> Result<Self, String> {
        let (low, high) = if reading.opset < 11 {
            (Some(f64::from(reading.float("min", f32::NEG_INFINITY)?)), Some(f64::from(reading.float("max", f32::INFINITY)?)))
        } else {
            (reading.optional_scalar(1)?, reading.optional_scalar(2)?)
        };
        let (low, high) = (low.unwrap_or(f64::NEG_INFINITY), high.unwrap_or(f64::INFINITY));
        if low.is_nan() || high.is_nan() || low > high {
            return Err(format!("the bounds {low} and {high} are no range"));
        }
        Ok(Clip { low, high })
    }
}

impl Operator for Clip {
    fn name(&self) -> &'static str {
        "Clip"
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        Ok(vec![inputs[0].to_vec()])
    }

    fn spatial(&self) -> Spatial {
        Spatial::Keeps
    }

    fn has_bias(&self) -> bool {
        [self.low, self.high].iter().any(|bound| bound.is_finite() && *bound != 0.0)
    }

    fn kernel(&self, _place: Place, _inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        Ok(Box::new(self.clone()))
    }
}

impl Kernel for Clip {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        Ok(inputs[0].f_clamp(self.low, self.high)?.into())
    }

    fn keeps(&self) -> Keeps {
        Keeps { inputs: false, outputs: true }
    }

    fn adjoint(&self, saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let [Some(grad)] = &grad_out[..] else { return Ok(vec![None]) };
        let grad_in = saved.outputs[0].f_hardtanh_backward(&grad.tensor, self.low, self.high)?;
        Ok(vec![Some(grad_in.into())])
    }

    fn bias(&self, saved: &Saved) -> Result<Option<Tensor>> {
        let y = &saved.outputs[0];
        let mut bias: Option<Tensor> = None;
        for (bound, reached) in [(self.low, y.f_le(self.low)?), (self.high, y.f_ge(self.high)?)] {
            if bound.is_finite() && bound != 0.0 {
                let part = reached.f_to_kind(y.kind())?.f_mul_scalar(bound)?;
                bias = Some(match bias {
                    Some(other) => other.f_add(&part)?,
                    None => part,
                });
            }
        }
        Ok(bias)
    }
}
