//! Functions that are constant between jumps: comparisons, logic, Sign, Floor, Ceil, Round. Truth is 1, falsehood 0.
//!
//! The derivative is zero wherever there is one, and is taken as zero at the jumps: no gradient goes through, and the bias is y itself.

use tch::{Kind, Tensor};

use super::Read;
use super::operands::{Compiled, Operands};
use crate::error::Result;
use crate::network::op::{Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
use crate::network::reading::Reading;

/// Which function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Jumping {
    And,
    Ceil,
    Equal,
    Floor,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Not,
    Or,
    /// To the nearest whole number, halves to the even one.
    Round,
    Sign,
    /// Cast to truth: whether it is other than zero.
    Truth,
    Xor,
}

impl Jumping {
    fn operands(self) -> usize {
        use Jumping::{Ceil, Floor, Not, Round, Sign, Truth};
        if matches!(self, Ceil | Floor | Not | Round | Sign | Truth) { 1 } else { 2 }
    }
}

/// A function that is constant between jumps.
#[derive(Debug, Clone, PartialEq)]
pub struct Steps {
    /// Which.
    pub function: Jumping,
    /// Of what.
    pub operands: Operands,
}

impl Steps {
    /// Reads a node of this function.
    pub fn read(reading: &Reading, function: Jumping) -> Result<Read, String> {
        let operands = Operands::read(reading)?;
        if operands.0.len() != function.operands() {
            return Err(format!("has {} inputs; {} are expected", operands.0.len(), function.operands()));
        }
        Ok(Read::Op(Steps { function, operands }.into()))
    }
}

impl Operator for Steps {
    fn name(&self) -> &'static str {
        match self.function {
            Jumping::And => "And",
            Jumping::Ceil => "Ceil",
            Jumping::Equal => "Equal",
            Jumping::Floor => "Floor",
            Jumping::Greater => "Greater",
            Jumping::GreaterOrEqual => "GreaterOrEqual",
            Jumping::Less => "Less",
            Jumping::LessOrEqual => "LessOrEqual",
            Jumping::Not => "Not",
            Jumping::Or => "Or",
            Jumping::Round => "Round",
            Jumping::Sign => "Sign",
            Jumping::Truth => "Cast",
            Jumping::Xor => "Xor",
        }
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        Ok(vec![self.operands.shape(inputs)?])
    }

    fn spatial(&self) -> Spatial {
        Spatial::Keeps
    }

    fn has_bias(&self) -> bool {
        true
    }

    fn kernel(&self, place: Place, inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        Ok(Box::new(StepsKernel { function: self.function, operands: self.operands.compile(place, inputs)?, kind: place.kind }))
    }
}

struct StepsKernel {
    function: Jumping,
    operands: Compiled,
    kind: Kind,
}

/// Where a truth value is true; it is 1 or 0.
pub fn holds(truth: &Tensor) -> Result<Tensor> {
    Ok(truth.f_gt(0.5)?)
}

impl Kernel for StepsKernel {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        let operands = self.operands.all(inputs);
        let (a, b) = (operands[0], operands[operands.len() - 1]);
        let y = match self.function {
            Jumping::And => holds(a)?.f_logical_and(&holds(b)?)?,
            Jumping::Ceil => a.f_ceil()?,
            Jumping::Equal => a.f_eq_tensor(b)?,
            Jumping::Floor => a.f_floor()?,
            Jumping::Greater => a.f_gt_tensor(b)?,
            Jumping::GreaterOrEqual => a.f_ge_tensor(b)?,
            Jumping::Less => a.f_lt_tensor(b)?,
            Jumping::LessOrEqual => a.f_le_tensor(b)?,
            Jumping::Not => holds(a)?.f_logical_not()?,
            Jumping::Or => holds(a)?.f_logical_or(&holds(b)?)?,
            Jumping::Round => a.f_round()?,
            Jumping::Sign => a.f_sign()?,
            Jumping::Truth => a.f_ne(0.0)?,
            Jumping::Xor => holds(a)?.f_logical_xor(&holds(b)?)?,
        };
        Ok(y.f_to_kind(self.kind)?.into())
    }

    fn keeps(&self) -> Keeps {
        Keeps { inputs: false, outputs: true }
    }

    fn adjoint(&self, _saved: &Saved, _grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        Ok(self.operands.activations().map(|_| None).collect())
    }

    fn bias(&self, saved: &Saved) -> Result<Option<Tensor>> {
        Ok(Some(saved.outputs[0].shallow_clone()))
    }
}
