//! Expand: axes of size one stretched.
//!
//! Linear: the bias is zero. Adjoint: grad_out summed over the axes that were stretched.

use tch::Tensor;

use crate::error::Result;
use crate::network::broadcast;
use crate::network::op::{self, Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
use crate::network::reading::{Operand, Reading};

/// An activation stretched to a shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expand {
    /// For a batch of one.
    pub shape: Vec<usize>,
}

impl Expand {
    /// Reads an ONNX Expand.
    pub fn read(reading: &Reading) -> Result<Self, String> {
        let input = reading.activation(0)?;
        let sizes: Vec<i64> = match reading.operand(1) {
            // A size that grows with the batch is its own for a batch of one.
            Operand::Known(known) => known.values.iter().map(|dim| dim.fixed + dim.per_batch).collect(),
            _ => reading.optional_integers(1)?.ok_or("the shape is missing")?,
        };
        let sizes: Vec<usize> = sizes.iter().map(|&size| usize::try_from(size).map_err(|_| format!("the shape is {sizes:?}"))).collect::<Result<_, _>>()?;
        let mut target = sizes.clone();
        if sizes.len() == input.len() && reading.fixed_batch == sizes.first().copied() {
            target[0] = 1;
        }
        let shape = broadcast::shape(input, &target)?;
        if shape.len() != input.len() || shape.first() != Some(&1) {
            return Err(format!("stretches {input:?} to {sizes:?}, which would change the batch axis"));
        }
        Ok(Expand { shape })
    }
}

impl Operator for Expand {
    fn name(&self) -> &'static str {
        "Expand"
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        Ok(vec![broadcast::shape(op::only(inputs)?, &self.shape)?])
    }

    fn spatial(&self) -> Spatial {
        Spatial::Keeps
    }

    fn has_bias(&self) -> bool {
        false
    }

    fn kernel(&self, _place: Place, inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        Ok(Box::new(ExpandKernel { shape: self.shape.clone(), input: inputs[0].to_vec() }))
    }
}

struct ExpandKernel {
    shape: Shape,
    input: Shape,
}

impl Kernel for ExpandKernel {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        let mut size: Vec<i64> = self.shape.iter().map(|&size| size as i64).collect();
        size[0] = inputs[0].size()[0];
        Ok(inputs[0].f_expand(size, false)?.f_contiguous()?.into())
    }

    fn keeps(&self) -> Keeps {
        Keeps::default()
    }

    fn adjoint(&self, _saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let [Some(grad)] = &grad_out[..] else { return Ok(vec![None]) };
        Ok(vec![Some(Gradient { tensor: broadcast::adjoint(&grad.tensor, &self.input)?, shared: grad.shared })])
    }

    fn bias(&self, _saved: &Saved) -> Result<Option<Tensor>> {
        Ok(None)
    }
}
