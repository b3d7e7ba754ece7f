//! Clip: y = min(max(x, low), high). ReLU6 is Clip(0, 6).
//!
//! Derivative: 1 strictly between the bounds, 0 at and beyond them. Bias: y - y' x, which is the bound where it saturates and 0 between.
//! Both are read from y: between the bounds y is x, and beyond them y is the bound.

use half::{bf16, f16};
use tch::{Kind, Tensor};

use crate::error::Result;
use crate::network::op::{self, Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
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
        reading.activation(0)?;
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

impl Clip {
    /// With bounds as `place` holds them: where y has reached a bound it has to be equal to it.
    pub fn rounded(&self, place: Place) -> Clip {
        let rounded = |bound: f64| match place.kind {
            Kind::BFloat16 => bf16::from_f64(bound).to_f64(),
            Kind::Half => f16::from_f64(bound).to_f64(),
            Kind::Float => f64::from(bound as f32),
            _ => bound,
        };
        Clip { low: rounded(self.low), high: rounded(self.high) }
    }
}

impl Operator for Clip {
    fn name(&self) -> &'static str {
        "Clip"
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        Ok(vec![op::only(inputs)?.to_vec()])
    }

    fn spatial(&self) -> Spatial {
        Spatial::Keeps
    }

    fn has_bias(&self) -> bool {
        [self.low, self.high].iter().any(|bound| bound.is_finite() && *bound != 0.0)
    }

    fn kernel(&self, place: Place, _inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        Ok(Box::new(self.rounded(place)))
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
        if !self.has_bias() {
            return Ok(None);
        }
        let y = &saved.outputs[0];
        let between = y.f_gt(self.low)?.f_logical_and(&y.f_lt(self.high)?)?;
        Ok(Some(y.f_masked_fill(&between, 0.0)?))
    }
}
