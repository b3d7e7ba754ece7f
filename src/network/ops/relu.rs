//! Relu and LeakyRelu: y = x where x > 0, slope * x elsewhere. Relu has slope 0.
//!
//! Homogeneous: y = Dy(x) x, so the bias is zero. Adjoint: grad_out, times the slope where x <= 0 (at 0 too, as torch does).
//! Relu reads the mask from y.

use tch::Tensor;

use crate::error::Result;
use crate::network::op::{self, Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
use crate::network::reading::Reading;

/// A rectifier.
#[derive(Debug, Clone, PartialEq)]
pub struct Relu {
    /// Factor below zero.
    pub slope: f64,
}

impl Relu {
    /// Reads an ONNX Relu.
    pub fn read(reading: &Reading) -> Result<Self, String> {
        reading.activation(0)?;
        Ok(Relu { slope: 0.0 })
    }

    /// Reads an ONNX LeakyRelu.
    pub fn read_leaky(reading: &Reading) -> Result<Self, String> {
        reading.activation(0)?;
        let slope = f64::from(reading.float("alpha", 0.01)?);
        if !slope.is_finite() || slope < 0.0 {
            return Err(format!("attribute alpha is {slope}; a slope of zero or more is supported"));
        }
        Ok(Relu { slope })
    }
}

impl Operator for Relu {
    fn name(&self) -> &'static str {
        if self.slope == 0.0 { "Relu" } else { "LeakyRelu" }
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        Ok(vec![op::only(inputs)?.to_vec()])
    }

    fn spatial(&self) -> Spatial {
        Spatial::Keeps
    }

    fn has_bias(&self) -> bool {
        false
    }

    fn kernel(&self, _place: Place, _inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        Ok(Box::new(self.clone()))
    }
}

impl Kernel for Relu {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        if self.slope == 0.0 {
            return Ok(inputs[0].f_relu()?.into());
        }
        let below = inputs[0].f_clamp_max(0.0)?.f_mul_scalar(self.slope)?;
        Ok(inputs[0].f_relu()?.f_add(&below)?.into())
    }

    fn keeps(&self) -> Keeps {
        Keeps { inputs: self.slope != 0.0, outputs: self.slope == 0.0 }
    }

    fn adjoint(&self, saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let [Some(grad)] = &grad_out[..] else { return Ok(vec![None]) };
        let grad_in = if self.slope == 0.0 {
            saved.outputs[0].f_threshold_backward(&grad.tensor, 0.0)?
        } else {
            saved.inputs[0].f_leaky_relu_backward(&grad.tensor, self.slope, false)?
        };
        Ok(vec![Some(grad_in.into())])
    }

    fn bias(&self, _saved: &Saved) -> Result<Option<Tensor>> {
        Ok(None)
    }
}
