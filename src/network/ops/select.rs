//! Where: y = a where the condition holds, b elsewhere, broadcast; any of the three may be a constant.
//!
//! Linear in a and b, constant in the condition between its jumps. Adjoint: grad_out where the condition holds to a, elsewhere to b,
//! summed over the axes that were stretched; none to the condition. Bias: a constant's part of y.

use tch::Tensor;

use super::operands::{Compiled, Operands};
use super::steps::holds;
use crate::error::Result;
use crate::network::broadcast;
use crate::network::op::{Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
use crate::network::reading::Reading;

/// A choice of two, element by element.
#[derive(Debug, Clone, PartialEq)]
pub struct Where {
    /// The condition, a and b.
    pub operands: Operands,
}

impl Where {
    /// Reads an ONNX Where.
    pub fn read(reading: &Reading) -> Result<Self, String> {
        let operands = Operands::read(reading)?;
        if operands.0.len() != 3 {
            return Err(format!("has {} inputs; three are expected", operands.0.len()));
        }
        let infinite = |index: usize| {
            let values = operands.0[index].as_ref().and_then(|constant| constant.floats()).unwrap_or_default();
            values.iter().any(|value| !value.is_finite())
        };
        if let Some(index) = [1, 2].into_iter().find(|&index| infinite(index)) {
            return Err(format!("input {index} holds infinities or NaN, which have no finite term; only finite constants are supported"));
        }
        Ok(Where { operands })
    }
}

impl Operator for Where {
    fn name(&self) -> &'static str {
        "Where"
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        Ok(vec![self.operands.shape(inputs)?])
    }

    fn spatial(&self) -> Spatial {
        Spatial::Keeps
    }

    fn has_bias(&self) -> bool {
        let constants = self.operands.0[1..].iter().flatten();
        constants.into_iter().any(|constant| constant.floats().is_none_or(|values| values.iter().any(|&value| value != 0.0)))
    }

    fn kernel(&self, place: Place, inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        Ok(Box::new(WhereKernel { operands: self.operands.compile(place, inputs)?, has_bias: self.has_bias() }))
    }
}

struct WhereKernel {
    operands: Compiled,
    has_bias: bool,
}

impl Kernel for WhereKernel {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        let operands = self.operands.all(inputs);
        let condition = holds(operands[0])?;
        // The receiver is taken where the condition holds.
        let y = operands[1].f_where_self(&condition, operands[2])?;
        Ok(Forward { outputs: vec![y], extra: vec![condition] })
    }

    fn keeps(&self) -> Keeps {
        Keeps::default()
    }

    fn adjoint(&self, saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let condition = &saved.extra[0];
        let one = |(place, shape): (usize, &Shape)| -> Result<Option<Gradient>> {
            let (Some(Some(grad)), 1 | 2) = (grad_out.first(), place) else { return Ok(None) };
            let others = if place == 1 { condition.f_logical_not()? } else { condition.shallow_clone() };
            Ok(Some(broadcast::adjoint(&grad.tensor.f_masked_fill(&others, 0.0)?, shape)?.into()))
        };
        self.operands.activations().map(one).collect()
    }

    fn bias(&self, saved: &Saved) -> Result<Option<Tensor>> {
        let condition = &saved.extra[0];
        Ok(match (self.operands.constant(1), self.operands.constant(2)) {
            _ if !self.has_bias => None,
            (Some(a), Some(b)) => Some(a.f_where_self(condition, b)?),
            (Some(a), None) => Some(a.f_where_scalarother(condition, 0.0)?),
            (None, Some(b)) => Some(Tensor::f_where_scalarself(condition, 0.0, b)?),
            (None, None) => None,
        })
    }
}
