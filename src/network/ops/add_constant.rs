//! Addition of a constant: y = sign * x + c, broadcast. ONNX Add and Sub with one constant input.
//!
//! Derivative: the sign. Adjoint: sign * grad_out, summed over the axes that c stretched. Bias: c.

use tch::Tensor;

use crate::error::Result;
use crate::network::graph::Constant;
use super::{Add, Read, Subtract};
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

/// Reads an ONNX Sub: of two activations, or with a constant.
pub fn read_sub(reading: &Reading) -> Result<Read, String> {
    if let (Operand::Activation(_), Operand::Activation(_)) = (reading.operand(0), reading.operand(1)) {
        return Ok(Read::Op(Subtract.into()));
    }
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
    /// Broadcasts with the activation; has at most its number of axes, and 1 on the batch axis.
    pub constant: Constant,
    /// -1 for c - x, else 1.
    pub sign: f64,
}

impl Operator for AddConstant {
    fn name(&self) -> &'static str {
        "AddConstant"
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        op::only(inputs)?;
        Ok(vec![broadcast::images(inputs, [&self.constant])?])
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

    fn kernel(&self, place: Place, inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        let constant = weights::tensor(&self.constant, place)?;
        Ok(Box::new(AddConstantKernel { constant, sign: self.sign, input: inputs[0].to_vec() }))
    }
}

struct AddConstantKernel {
    constant: Tensor,
    sign: f64,
    input: Shape,
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
        let [Some(grad)] = &grad_out[..] else { return Ok(vec![None]) };
        let summed = Gradient { tensor: broadcast::adjoint(&grad.tensor, &self.input)?, shared: grad.shared };
        Ok(vec![Some(if self.sign < 0.0 { summed.tensor.f_neg()?.into() } else { summed })])
    }

    fn bias(&self, _saved: &Saved) -> Result<Option<Tensor>> {
        Ok(Some(self.constant.shallow_clone()))
    }
}
