//! A constant over an activation: y = c / x, broadcast. ONNX Reciprocal, and Div of a constant.
//!
//! Derivative: -c / x^2 = -y / x. Adjoint: -y grad_out / x, summed over the axes that c stretched. Bias: y - (-y / x) x = 2 y.

use tch::Tensor;

use super::pointwise::wide;
use crate::error::Result;
use crate::network::graph::Constant;
use crate::network::op::{self, Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
use crate::network::reading::Reading;
use crate::network::{broadcast, weights};

/// A constant divided by an activation.
#[derive(Debug, Clone, PartialEq)]
pub struct Reciprocal {
    /// Broadcasts with the activation; has at most its number of axes, and 1 on the batch axis.
    pub numerator: Constant,
}

impl Reciprocal {
    /// Reads an ONNX Reciprocal.
    pub fn read(reading: &Reading) -> Result<Self, String> {
        reading.activation(0)?;
        Ok(Reciprocal { numerator: Constant::from_floats(vec![], vec![1.0]) })
    }
}

impl Operator for Reciprocal {
    fn name(&self) -> &'static str {
        "Reciprocal"
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        op::only(inputs)?;
        Ok(vec![broadcast::images(inputs, [&self.numerator])?])
    }

    fn spatial(&self) -> Spatial {
        Spatial::Keeps
    }

    fn has_bias(&self) -> bool {
        true
    }

    fn kernel(&self, place: Place, inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        Ok(Box::new(ReciprocalKernel { numerator: weights::tensor(&self.numerator, place)?, input: inputs[0].to_vec() }))
    }
}

struct ReciprocalKernel {
    numerator: Tensor,
    input: Shape,
}

impl Kernel for ReciprocalKernel {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        Ok(self.numerator.f_div(inputs[0])?.into())
    }

    fn keeps(&self) -> Keeps {
        Keeps { inputs: true, outputs: false }
    }

    fn adjoint(&self, saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let [Some(grad)] = &grad_out[..] else { return Ok(vec![None]) };
        let x = wide(&saved.inputs[0])?;
        let slope = self.numerator.f_div(&x)?.f_div(&x)?.f_neg()?;
        let grad_in = broadcast::adjoint(&slope.f_mul(&grad.tensor)?, &self.input)?;
        Ok(vec![Some(grad_in.f_to_kind(grad.tensor.kind())?.into())])
    }

    fn bias(&self, saved: &Saved) -> Result<Option<Tensor>> {
        Ok(Some(self.numerator.f_div(&saved.inputs[0])?.f_mul_scalar(2.0)?))
    }
}
