//! Sum and Mean of activations and constants: y = f (a + b + ...), f = 1 or one over their number, broadcast.
//!
//! Adjoint: f grad_out to each, summed over the axes that were stretched. Bias: f times the constants.

use tch::Tensor;

use super::operands::{Compiled, Operands};
use super::{Add, Read};
use crate::error::Result;
use crate::network::broadcast;
use crate::network::op::{Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
use crate::network::reading::Reading;

/// The sum or the mean of several.
#[derive(Debug, Clone, PartialEq)]
pub struct Sum {
    /// Of what.
    pub operands: Operands,
    /// Whether it is divided by their number.
    pub mean: bool,
}

impl Sum {
    /// Reads an ONNX Sum or Mean.
    pub fn read(reading: &Reading, mean: bool) -> Result<Read, String> {
        let operands = Operands::read(reading)?;
        Ok(match &operands.0[..] {
            [_] => Read::Same,
            [None, None] if !mean => Read::Op(Add.into()),
            _ => Read::Op(Sum { operands, mean }.into()),
        })
    }
}

impl Operator for Sum {
    fn name(&self) -> &'static str {
        if self.mean { "Mean" } else { "Sum" }
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        Ok(vec![self.operands.shape(inputs)?])
    }

    fn spatial(&self) -> Spatial {
        Spatial::Keeps
    }

    fn has_bias(&self) -> bool {
        self.operands.constants().next().is_some()
    }

    fn kernel(&self, place: Place, inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        let factor = if self.mean { 1.0 / self.operands.0.len() as f64 } else { 1.0 };
        Ok(Box::new(SumKernel { operands: self.operands.compile(place, inputs)?, count: self.operands.0.len(), factor }))
    }
}

struct SumKernel {
    operands: Compiled,
    count: usize,
    factor: f64,
}

impl SumKernel {
    fn scaled_sum<'a>(&self, mut tensors: impl Iterator<Item = &'a Tensor>) -> Result<Option<Tensor>> {
        let Some(first) = tensors.next() else { return Ok(None) };
        let sum = tensors.try_fold(first.shallow_clone(), |sum, tensor| sum.f_add(tensor))?;
        Ok(Some(if self.factor == 1.0 { sum } else { sum.f_mul_scalar(self.factor)? }))
    }
}

impl Kernel for SumKernel {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        let sum = self.scaled_sum(self.operands.all(inputs).into_iter())?;
        Ok(sum.expect("a sum has operands").into())
    }

    fn keeps(&self) -> Keeps {
        Keeps::default()
    }

    fn adjoint(&self, _saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let [Some(grad)] = &grad_out[..] else { return Ok(self.operands.activations().map(|_| None).collect()) };
        let each = if self.factor == 1.0 { grad.tensor.shallow_clone() } else { grad.tensor.f_mul_scalar(self.factor)? };
        let one = |(_, shape): (usize, &Shape)| Ok(Some(Gradient { tensor: broadcast::adjoint(&each, shape)?, shared: true }));
        self.operands.activations().map(one).collect()
    }

    fn bias(&self, _saved: &Saved) -> Result<Option<Tensor>> {
        self.scaled_sum((0..self.count).filter_map(|place| self.operands.constant(place)))
    }
}
