//! Product of two activations: y = a * b, broadcast (squeeze-and-excitation: (N, C, H, W) * (N, C, 1, 1)).
//!
//! Derivative: b da + a db. Adjoint: b * grad_out and a * grad_out, summed over the axes that were stretched. Bias: a b - (b a + a b) = -a b.

use tch::Tensor;

use super::{Read, Scale};
use crate::error::Result;
use crate::network::broadcast;
use crate::network::op::{Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
use crate::network::reading::{Operand, Reading};

/// Reads an ONNX Mul: of two activations, or by a constant.
pub fn read(reading: &Reading) -> Result<Read, String> {
    if let (Operand::Activation(_), Operand::Activation(_)) = (reading.operand(0), reading.operand(1)) {
        return Ok(Read::Op(Multiply.into()));
    }
    let constant = usize::from(matches!(reading.operand(0), Operand::Activation(_)));
    Ok(Read::Op(Scale { constant: reading.weights(constant)?.clone() }.into()))
}

/// The product of two activations of the same number of axes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Multiply;

impl Operator for Multiply {
    fn name(&self) -> &'static str {
        "Mul"
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        Ok(vec![broadcast::images(inputs, &[])?])
    }

    fn spatial(&self) -> Spatial {
        Spatial::Keeps
    }

    fn has_bias(&self) -> bool {
        true
    }

    fn kernel(&self, _place: Place, inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        Ok(Box::new(MultiplyKernel { inputs: [inputs[0].to_vec(), inputs[1].to_vec()] }))
    }
}

struct MultiplyKernel {
    inputs: [Shape; 2],
}

impl Kernel for MultiplyKernel {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        Ok(inputs[0].f_mul(inputs[1])?.into())
    }

    fn keeps(&self) -> Keeps {
        Keeps { inputs: true, outputs: false }
    }

    fn adjoint(&self, saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let [Some(grad)] = &grad_out[..] else { return Ok(vec![None, None]) };
        let one = |other: usize| -> Result<Option<Gradient>> {
            let product = grad.tensor.f_mul(&saved.inputs[other])?;
            Ok(Some(broadcast::adjoint(&product, &self.inputs[1 - other])?.into()))
        };
        Ok(vec![one(1)?, one(0)?])
    }

    fn bias(&self, saved: &Saved) -> Result<Option<Tensor>> {
        let [a, b] = &saved.inputs[..] else { unreachable!("a product of two") };
        Ok(Some(a.f_mul(b)?.f_neg()?))
    }
}
