//! Addition of a constant: y = sign * x + c, broadcast. ONNX Add and Sub with one constant input.
//!
//! Derivative: the sign. Adjoint: sign * grad_out. Bias: c.

use tch::Tensor;

use crate::error::Result;
use crate::network::graph::Constant;
use super::{Add, Read};
use crate::network::op::{self, Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
use crate::network::reading::{Operand, Reading};
use crate::network::{broadcast, weights};

/// Reads an ONNX Add: of two activations, or of a constant.
pub fn read_add(reading: &Reading) -> Result<Read, String> {
    if let (Operand::Activation(_), Operand::Activation(_)) = (reading.operand(0), reading.operand(1)) {
        return Ok(Read::Op(Add.into()));
    }
    let constant = usize::from(matches!(reading.operand(0), Operand::Activation(_)));
    Ok(Read::Op(AddConstant { constant: reading.weights(constant)?.clone(), sign: 1.0 }.into()))
}

/// Reads an ONNX Sub of an activation and a constant.
pub fn read_sub(reading: &Reading) -> Result<Read, String> {
    let constant = usize::from(matches!(reading.operand(0), Operand::Activation(_)));
    let weights = reading.weights(constant)?;
    if constant == 0 {
        return Ok(Read::Op(AddConstant { constant: weights.clone(), sign: -1.0 }.into()));
    }
    let negated = weights.floats().unwrap_or_default().iter().map(|v| -v).collect();
    Ok(Read::Op(AddConstant { constant: Constant::from_floats(weights.shape.clone(), negated), sign: 1.0 }.into()))
}

/// A constant added to an activation.
#[derive(Debug, Clone, PartialEq)]
pub struct AddConstant {
    /// Broadcasts to the activation; has at most its number of axes, and 1 on the batch axis.
    pub constant: Constant,
    /// -1 for c - x, else 1.
    pub sign: f64,
}

impl Operator for AddConstant {
    fn name(&self) -> &'static str {
        "AddConstant"
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        let input = op::only(inputs)?;
        let shape = broadcast::shape(input, &self.constant.shape)?;
        if shape.len() != input.len() || shape[0] != 1 {
            return Err(format!("a constant of shape {:?} would change the batch axis of {input:?}", self.constant.shape));
        }
        if shape != input {
            return Err(format!("a constant of shape {:?} stretches the activation {input:?}", self.constant.shape));
        }
        Ok(vec![shape])
    }

    fn spatial(&self) -> Spatial {
        Spatial::Keeps
    }

    fn parameters(&self) -> usize {
        self.constant.elements.len()
    }

    fn has_bias(&self) -> bool {
        true
    }

    fn kernel(&self, place: Place, _inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        Ok(Box::new(AddConstantKernel { constant: weights::tensor(&self.constant, place)?, sign: self.sign }))
    }
}

struct AddConstantKernel {
    constant: Tensor,
    sign: f64,
}

impl Kernel for AddConstantKernel {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        let y = if self.sign < 0.0 { self.constant.f_sub(inputs[0])? } else { inputs[0].f_add(&self.constant)? };
        Ok(y.into())
    }

    fn keeps(&self) -> Keeps {
        Keeps::default()
    }

    fn adjoint(&self, _saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let [Some(_)] = &grad_out[..] else { return Ok(vec![None]) };
        if self.sign >= 0.0 {
            return Ok(grad_out);
        }
        grad_out.into_iter().map(|grad| grad.map(|g| Ok(g.tensor.f_neg()?.into())).transpose()).collect()
    }

    fn bias(&self, _saved: &Saved) -> Result<Option<Tensor>> {
        Ok(Some(self.constant.shallow_clone()))
    }
}
