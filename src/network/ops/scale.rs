//! Multiplication by a constant: y = c * x, broadcast. ONNX Mul and Div by a constant, and Neg.
//!
//! Linear: the bias is zero. Adjoint: c * grad_out, summed over the axes that c stretched.

use tch::Tensor;

use crate::error::Result;
use crate::network::graph::Constant;
use crate::network::op::{self, Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
use crate::network::{broadcast, weights};

/// A constant factor.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    /// Broadcasts with the activation; has at most its number of axes, and 1 on the batch axis.
    pub constant: Constant,
}

impl Scale {
    /// By one number.
    pub fn by(factor: f64) -> Self {
        Scale { constant: Constant::from_floats(vec![], vec![factor]) }
    }
}

impl Operator for Scale {
    fn name(&self) -> &'static str {
        "Scale"
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        op::only(inputs)?;
        Ok(vec![broadcast::images(inputs, [&self.constant])?])
    }

    fn spatial(&self) -> Spatial {
        Spatial::Keeps
    }

    fn parameters(&self) -> usize {
        self.constant.elements.len()
    }

    fn has_bias(&self) -> bool {
        false
    }

    fn kernel(&self, place: Place, inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        Ok(Box::new(ScaleKernel { constant: weights::tensor(&self.constant, place)?, input: inputs[0].to_vec() }))
    }
}

struct ScaleKernel {
    constant: Tensor,
    input: Shape,
}

impl Kernel for ScaleKernel {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        Ok(inputs[0].f_mul(&self.constant)?.into())
    }

    fn keeps(&self) -> Keeps {
        Keeps::default()
    }

    fn adjoint(&self, _saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let [Some(grad)] = &grad_out[..] else { return Ok(vec![None]) };
        Ok(vec![Some(broadcast::adjoint(&grad.tensor.f_mul(&self.constant)?, &self.input)?.into())])
    }

    fn bias(&self, _saved: &Saved) -> Result<Option<Tensor>> {
        Ok(None)
    }
}
