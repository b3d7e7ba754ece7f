//! Transpose: axes in another order, the batch first before and after.
//!
//! Linear: the bias is zero. Adjoint: the inverse order.

use tch::Tensor;

use crate::error::Result;
use crate::network::op::{self, Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
use crate::network::reading::{self, Reading};

/// A permutation of axes: output axis i is input axis `perm[i]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transpose {
    /// Starts with 0.
    pub perm: Vec<usize>,
}

impl Transpose {
    /// Reads an ONNX Transpose.
    pub fn read(reading: &Reading) -> Result<Self, String> {
        let rank = reading.activation(0)?.len();
        let given = reading.ints("perm")?.unwrap_or_else(|| (0..rank as i64).rev().collect());
        let perm: Vec<usize> = given.iter().map(|&a| reading::axis(a, rank)).collect::<Result<_, _>>()?;
        let mut sorted = perm.clone();
        sorted.sort_unstable();
        if sorted != (0..rank).collect::<Vec<_>>() {
            return Err(format!("perm {perm:?} is not an order of {rank} axes"));
        }
        if perm.first() != Some(&0) {
            return Err(format!("perm {perm:?} moves the batch axis; export with a batch of one"));
        }
        Ok(Transpose { perm })
    }
}

impl Operator for Transpose {
    fn name(&self) -> &'static str {
        "Transpose"
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        let input = op::only(inputs)?;
        if input.len() != self.perm.len() {
            return Err(format!("perm {:?} does not fit {input:?}", self.perm));
        }
        Ok(vec![self.perm.iter().map(|&axis| input[axis]).collect()])
    }

    fn spatial(&self) -> Spatial {
        Spatial::Permutes(self.perm.clone())
    }

    fn has_bias(&self) -> bool {
        false
    }

    fn kernel(&self, _place: Place, _inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        let forward = self.perm.iter().map(|&axis| axis as i64).collect();
        let back = (0..self.perm.len()).map(|axis| self.perm.iter().position(|&p| p == axis).expect("perm is an order") as i64);
        Ok(Box::new(TransposeKernel { forward, back: back.collect() }))
    }
}

struct TransposeKernel {
    forward: Vec<i64>,
    back: Vec<i64>,
}

impl Kernel for TransposeKernel {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        Ok(inputs[0].f_permute(self.forward.as_slice())?.into())
    }

    fn keeps(&self) -> Keeps {
        Keeps::default()
    }

    fn adjoint(&self, _saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let [Some(grad)] = &grad_out[..] else { return Ok(vec![None]) };
        Ok(vec![Some(Gradient { tensor: grad.tensor.f_permute(self.back.as_slice())?, shared: grad.shared })])
    }

    fn bias(&self, _saved: &Saved) -> Result<Option<Tensor>> {
        Ok(None)
    }
}
