//! Difference of two activations: y = a - b, broadcast.
//!
//! Linear: the bias is zero. Adjoint: grad_out and -grad_out, summed over the axes that were stretched.

use tch::Tensor;

use crate::error::Result;
use crate::network::broadcast;
use crate::network::op::{Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};

/// The difference of two activations of the same number of axes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subtract;

impl Operator for Subtract {
    fn name(&self) -> &'static str {
        "Sub"
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        Ok(vec![broadcast::images(inputs, &[])?])
    }

    fn spatial(&self) -> Spatial {
        Spatial::Keeps
    }

    fn has_bias(&self) -> bool {
        false
    }

    fn kernel(&self, _place: Place, inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        Ok(Box::new(SubtractKernel { inputs: [inputs[0].to_vec(), inputs[1].to_vec()] }))
    }
}

struct SubtractKernel {
    inputs: [Shape; 2],
}

impl Kernel for SubtractKernel {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        Ok(inputs[0].f_sub(inputs[1])?.into())
    }

    fn keeps(&self) -> Keeps {
        Keeps::default()
    }

    fn adjoint(&self, _saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let [Some(grad)] = &grad_out[..] else { return Ok(vec![None, None]) };
        let a = Gradient { tensor: broadcast::adjoint(&grad.tensor, &self.inputs[0])?, shared: grad.shared };
        let b = broadcast::adjoint(&grad.tensor, &self.inputs[1])?.f_neg()?;
        Ok(vec![Some(a), Some(b.into())])
    }

    fn bias(&self, _saved: &Saved) -> Result<Option<Tensor>> {
        Ok(None)
    }
}
