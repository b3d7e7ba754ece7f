//! Add of two activations: y = a + b, broadcast.
//!
//! Linear: the bias is zero. Adjoint: grad_out to both, summed over the axes that were stretched.

use tch::Tensor;

use crate::error::Result;
use crate::network::broadcast;
use crate::network::op::{Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};

/// The sum of two activations of the same number of axes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Add;

impl Operator for Add {
    fn name(&self) -> &'static str {
        "Add"
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
        Ok(Box::new(AddKernel { inputs: [inputs[0].to_vec(), inputs[1].to_vec()] }))
    }
}

struct AddKernel {
    inputs: [Shape; 2],
}

impl Kernel for AddKernel {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        Ok(inputs[0].f_add(inputs[1])?.into())
    }

    fn keeps(&self) -> Keeps {
        Keeps::default()
    }

    fn adjoint(&self, _saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let [Some(grad)] = &grad_out[..] else { return Ok(vec![None, None]) };
        self.inputs
            .iter()
            .map(|shape| Ok(Some(Gradient { tensor: broadcast::adjoint(&grad.tensor, shape)?, shared: true })))
            .collect()
    }

    fn bias(&self, _saved: &Saved) -> Result<Option<Tensor>> {
        Ok(None)
    }
}
