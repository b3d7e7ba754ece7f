//! Min and Max of activations and constants, broadcast.
//!
//! The derivative chooses the winner; of winners alike it is the first. Adjoint: grad_out to the winner, summed over the axes that were
//! stretched. Bias: y where a constant wins, else 0.
//!
//! With one constant number they are a Clip.

use tch::{Kind, Tensor};

use super::operands::{Compiled, Operands};
use super::{Clip, Read};
use crate::error::Result;
use crate::network::broadcast;
use crate::network::op::{Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
use crate::network::reading::{Operand, Reading};

/// Most operands: a winner's number is kept in a byte.
const MOST: usize = 255;

/// The smallest or largest of several.
#[derive(Debug, Clone, PartialEq)]
pub struct Extreme {
    /// Max, else Min.
    pub largest: bool,
    /// Of what.
    pub operands: Operands,
}

impl Extreme {
    /// Reads an ONNX Min or Max.
    pub fn read(reading: &Reading, largest: bool) -> Result<Read, String> {
        let operands = Operands::read(reading)?;
        if operands.0.len() > MOST {
            return Err(format!("has {} inputs; at most {MOST} are supported", operands.0.len()));
        }
        if operands.0.len() == 1 {
            return Ok(Read::Same);
        }
        if let [Some(constant), None] | [None, Some(constant)] = &operands.0[..]
            && let (1, Some([bound])) = (constant.shape.iter().product(), constant.floats().as_deref())
            && constant.shape.len() <= reading.operands.iter().find_map(rank).unwrap_or(0)
            && !bound.is_nan()
        {
            let (low, high) = if largest { (*bound, f64::INFINITY) } else { (f64::NEG_INFINITY, *bound) };
            return Ok(Read::Op(Clip { low, high }.into()));
        }
        Ok(Read::Op(Extreme { largest, operands }.into()))
    }
}

fn rank(operand: &Operand) -> Option<usize> {
    if let Operand::Activation(shape) = operand { Some(shape.len()) } else { None }
}

impl Operator for Extreme {
    fn name(&self) -> &'static str {
        if self.largest { "Max" } else { "Min" }
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        Ok(vec![self.operands.shape(inputs)?])
    }

    fn spatial(&self) -> Spatial {
        Spatial::Keeps
    }

    fn has_bias(&self) -> bool {
        self.operands.constants().any(|constant| constant.floats().is_none_or(|values| values.iter().any(|&value| value != 0.0)))
    }

    fn kernel(&self, place: Place, inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        let operands = self.operands.compile(place, inputs)?;
        Ok(Box::new(ExtremeKernel { largest: self.largest, operands, has_bias: self.has_bias() }))
    }
}

struct ExtremeKernel {
    largest: bool,
    operands: Compiled,
    has_bias: bool,
}

impl Kernel for ExtremeKernel {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        let operands = self.operands.all(inputs);
        let mut best = operands[0].shallow_clone();
        let mut winner = best.f_zeros_like()?.f_to_kind(Kind::Uint8)?;
        for (number, &operand) in operands.iter().enumerate().skip(1) {
            let won = if self.largest { operand.f_gt_tensor(&best)? } else { operand.f_lt_tensor(&best)? };
            winner = Tensor::f_where_scalarself(&won, number as i64, &winner)?;
            best = if self.largest { best.f_maximum(operand)? } else { best.f_minimum(operand)? };
        }
        Ok(Forward { outputs: vec![best], extra: vec![winner] })
    }

    fn keeps(&self) -> Keeps {
        Keeps { inputs: false, outputs: self.has_bias }
    }

    fn adjoint(&self, saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let one = |(place, shape): (usize, &Shape)| -> Result<Option<Gradient>> {
            let Some(Some(grad)) = grad_out.first() else { return Ok(None) };
            let lost = saved.extra[0].f_ne(place as i64)?;
            Ok(Some(broadcast::adjoint(&grad.tensor.f_masked_fill(&lost, 0.0)?, shape)?.into()))
        };
        self.operands.activations().map(one).collect()
    }

    fn bias(&self, saved: &Saved) -> Result<Option<Tensor>> {
        if !self.has_bias {
            return Ok(None);
        }
        let mut bias = saved.outputs[0].shallow_clone();
        for (place, _) in self.operands.activations() {
            bias = bias.f_masked_fill(&saved.extra[0].f_eq(place as i64)?, 0.0)?;
        }
        Ok(Some(bias))
    }
}
