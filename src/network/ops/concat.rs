//! Concat: activations one after the other on an axis.
//!
//! Linear: the bias is zero. Adjoint: grad_out cut at the seams.

use tch::Tensor;

use crate::error::Result;
use crate::network::memory;
use crate::network::op::{Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
use crate::network::reading::{self, Reading};

/// Activations joined on an axis other than the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concat {
    /// The axis.
    pub axis: usize,
}

impl Concat {
    /// Reads an ONNX Concat.
    pub fn read(reading: &Reading) -> Result<Self, String> {
        let rank = reading.activation(0)?.len();
        for index in 1..reading.operands.len() {
            reading.activation(index)?;
        }
        let axis = reading::axis(reading.int("axis", 1)?, rank)?;
        if axis == 0 {
            return Err("joins images of the batch (axis 0)".to_owned());
        }
        Ok(Concat { axis })
    }
}

impl Operator for Concat {
    fn name(&self) -> &'static str {
        "Concat"
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        let mut shape = inputs[0].to_vec();
        for other in &inputs[1..] {
            let matches = other.len() == shape.len() && (0..shape.len()).all(|i| i == self.axis || other[i] == shape[i]);
            if !matches {
                return Err(format!("{other:?} cannot be joined to {:?} on axis {}", inputs[0], self.axis));
            }
            shape[self.axis] = shape[self.axis].checked_add(other[self.axis]).ok_or("sizes overflow")?;
        }
        Ok(vec![shape])
    }

    fn spatial(&self) -> Spatial {
        Spatial::Keeps
    }

    fn has_bias(&self) -> bool {
        false
    }

    fn kernel(&self, _place: Place, inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        let lengths = inputs.iter().map(|shape| shape[self.axis] as i64).collect();
        Ok(Box::new(ConcatKernel { axis: self.axis as i64, lengths }))
    }
}

struct ConcatKernel {
    axis: i64,
    lengths: Vec<i64>,
}

impl Kernel for ConcatKernel {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        Ok(Tensor::f_cat(inputs, self.axis)?.into())
    }

    fn keeps(&self) -> Keeps {
        Keeps::default()
    }

    fn adjoint(&self, _saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let [Some(grad)] = &grad_out[..] else { return Ok(self.lengths.iter().map(|_| None).collect()) };
        let parts = grad.tensor.f_split_with_sizes(self.lengths.as_slice(), self.axis)?;
        let whole = |part: &Tensor| -> Result<Option<Gradient>> {
            let tensor = memory::compact(part)?;
            let copied = tensor.data_ptr() != part.data_ptr();
            Ok(Some(Gradient { tensor, shared: grad.shared && !copied }))
        };
        parts.iter().map(whole).collect()
    }

    fn bias(&self, _saved: &Saved) -> Result<Option<Tensor>> {
        Ok(None)
    }
}
