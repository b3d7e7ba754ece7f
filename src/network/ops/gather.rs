//! Gather: places of an axis, chosen by constant indices.
//!
//! Linear: the bias is zero. Adjoint: grad_out added up at the places that it was read from.

use tch::Tensor;

use crate::error::Result;
use crate::network::op::{self, Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
use crate::network::reading::{self, Operand, Reading};

/// Chosen places of an axis other than the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gather {
    /// The axis.
    pub axis: usize,
    /// Places on it, row-major.
    pub indices: Vec<usize>,
    /// Axes that take the axis's place; none where a single place is picked.
    pub shape: Vec<usize>,
}

impl Gather {
    /// Reads an ONNX Gather with constant indices.
    pub fn read(reading: &Reading) -> Result<Self, String> {
        let input = reading.activation(0)?;
        let axis = reading::axis(reading.int("axis", 0)?, input.len())?;
        if axis == 0 {
            return Err("picks images of the batch (axis 0)".to_owned());
        }
        let values = reading.optional_integers(1)?.ok_or("the indices are missing")?;
        let indices: Vec<usize> = values.iter().map(|&index| reading::axis(index, input[axis])).collect::<Result<_, _>>().map_err(|_| {
            format!("an index of {values:?} is outside axis {axis} of {input:?}")
        })?;
        let shape = match reading.operand(1) {
            Operand::Constant(constant) => constant.shape.clone(),
            Operand::Known(known) => known.shape.clone(),
            _ => vec![indices.len()],
        };
        Ok(Gather { axis, indices, shape })
    }
}

impl Operator for Gather {
    fn name(&self) -> &'static str {
        "Gather"
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        let input = op::only(inputs)?;
        Ok(vec![[&input[..self.axis], &self.shape, &input[self.axis + 1..]].concat()])
    }

    fn spatial(&self) -> Spatial {
        if self.shape.len() == 1 { Spatial::Keeps } else { Spatial::Ends }
    }

    fn has_bias(&self) -> bool {
        false
    }

    fn kernel(&self, place: Place, inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        let indices: Vec<i64> = self.indices.iter().map(|&index| index as i64).collect();
        let indices = Tensor::f_from_slice(&indices)?.f_to_device(place.device)?;
        Ok(Box::new(GatherKernel { axis: self.axis as i64, indices, shape: self.shape.clone(), input: inputs[0].to_vec() }))
    }
}

struct GatherKernel {
    axis: i64,
    indices: Tensor,
    shape: Vec<usize>,
    input: Shape,
}

impl Kernel for GatherKernel {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        let picked = inputs[0].f_index_select(self.axis, &self.indices)?;
        if self.shape.len() == 1 {
            return Ok(picked.into());
        }
        let mut size = picked.size();
        let axis = self.axis as usize;
        size.splice(axis..=axis, self.shape.iter().map(|&size| size as i64));
        Ok(picked.f_reshape(size)?.into())
    }

    fn keeps(&self) -> Keeps {
        Keeps::default()
    }

    fn adjoint(&self, _saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let [Some(grad)] = &grad_out[..] else { return Ok(vec![None]) };
        let mut size: Vec<i64> = self.input.iter().map(|&size| size as i64).collect();
        size[0] = grad.tensor.size()[0];
        let zeros = Tensor::f_zeros(size.as_slice(), (grad.tensor.kind(), grad.tensor.device()))?;
        size[self.axis as usize] = self.indices.size()[0];
        let flat = grad.tensor.f_reshape(size)?;
        Ok(vec![Some(zeros.f_index_add(self.axis, &self.indices, &flat)?.into())])
    }

    fn bias(&self, _saved: &Saved) -> Result<Option<Tensor>> {
        Ok(None)
    }
}
