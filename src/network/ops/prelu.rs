//! PRelu: y = x where x > 0, slope * x elsewhere, with a slope for each channel or of any shape that stretches to x.
//!
//! Homogeneous: the bias is zero. Adjoint: grad_out, times the slope where x <= 0.

use tch::Tensor;

use crate::error::Result;
use crate::network::graph::Constant;
use crate::network::op::{self, Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
use crate::network::reading::Reading;
use crate::network::{broadcast, weights};

/// A rectifier with trained slopes.
#[derive(Debug, Clone, PartialEq)]
pub struct PRelu {
    /// Broadcasts to the activation.
    pub slope: Constant,
}

impl PRelu {
    /// Reads an ONNX PRelu; before opset 7 a vector is one slope a channel.
    pub fn read(reading: &Reading) -> Result<Self, String> {
        let rank = reading.activation(0)?.len();
        let mut slope = reading.weights(1)?.clone();
        if reading.opset < 7 && slope.shape.len() == 1 && slope.elements.len() > 1 {
            slope.shape.extend(vec![1; rank.saturating_sub(2)]);
        }
        Ok(PRelu { slope })
    }
}

impl Operator for PRelu {
    fn name(&self) -> &'static str {
        "PRelu"
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        let input = op::only(inputs)?;
        let shape = broadcast::images(inputs, [&self.slope])?;
        if shape != input {
            return Err(format!("slopes of shape {:?} stretch the activation {input:?}", self.slope.shape));
        }
        Ok(vec![shape])
    }

    fn spatial(&self) -> Spatial {
        Spatial::Keeps
    }

    fn parameters(&self) -> usize {
        self.slope.elements.len()
    }

    fn has_bias(&self) -> bool {
        false
    }

    fn kernel(&self, place: Place, _inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        Ok(Box::new(PReluKernel { slope: weights::tensor(&self.slope, place)? }))
    }
}

struct PReluKernel {
    slope: Tensor,
}

impl PReluKernel {
    /// `along` where x is above zero, slope * `along` elsewhere.
    fn bent(&self, x: &Tensor, along: &Tensor) -> Result<Tensor> {
        // The receiver is taken where the condition holds.
        Ok(along.f_where_self(&x.f_gt(0.0)?, &along.f_mul(&self.slope)?)?)
    }
}

impl Kernel for PReluKernel {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        Ok(self.bent(inputs[0], inputs[0])?.into())
    }

    fn keeps(&self) -> Keeps {
        Keeps { inputs: true, outputs: false }
    }

    fn adjoint(&self, saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let [Some(grad)] = &grad_out[..] else { return Ok(vec![None]) };
        Ok(vec![Some(self.bent(&saved.inputs[0], &grad.tensor)?.into())])
    }

    fn bias(&self, _saved: &Saved) -> Result<Option<Tensor>> {
        Ok(None)
    }
}
