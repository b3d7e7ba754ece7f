//! Quotient of two activations: y = a / b, broadcast.
//!
//! Derivative: da / b - a db / b^2. Adjoint: grad_out / b and -y grad_out / b, summed over the axes that were stretched.
//! Bias: a / b - (a / b - a b / b^2) = a / b.

use tch::Tensor;

use super::pointwise::wide;
use super::{Read, Reciprocal, Scale};
use crate::error::Result;
use crate::network::broadcast;
use crate::network::graph::Constant;
use crate::network::op::{Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
use crate::network::reading::{Operand, Reading};

/// Reads an ONNX Div: of two activations, by a constant, or of a constant by an activation.
pub fn read(reading: &Reading) -> Result<Read, String> {
    Ok(Read::Op(match (reading.operand(0), reading.operand(1)) {
        (Operand::Activation(_), Operand::Activation(_)) => Divide.into(),
        (Operand::Activation(_), _) => {
            let divisor = reading.weights(1)?;
            let inverse = divisor.floats().unwrap_or_default().iter().map(|v| 1.0 / v).collect();
            Scale { constant: Constant::from_floats(divisor.shape.clone(), inverse) }.into()
        }
        _ => Reciprocal { numerator: reading.weights(0)?.clone() }.into(),
    }))
}

/// The quotient of two activations of the same number of axes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Divide;

impl Operator for Divide {
    fn name(&self) -> &'static str {
        "Div"
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
        Ok(Box::new(DivideKernel { inputs: [inputs[0].to_vec(), inputs[1].to_vec()] }))
    }
}

struct DivideKernel {
    inputs: [Shape; 2],
}

impl Kernel for DivideKernel {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        Ok(inputs[0].f_div(inputs[1])?.into())
    }

    fn keeps(&self) -> Keeps {
        Keeps { inputs: true, outputs: false }
    }

    fn adjoint(&self, saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let [Some(grad)] = &grad_out[..] else { return Ok(vec![None, None]) };
        let (a, b) = (&saved.inputs[0], &saved.inputs[1]);
        let by_a = wide(&grad.tensor)?.f_div(b)?;
        let by_b = by_a.f_mul(a)?.f_div(b)?.f_neg()?;
        let kind = grad.tensor.kind();
        let one = |product: &Tensor, shape: &[usize]| -> Result<Option<Gradient>> {
            Ok(Some(broadcast::adjoint(product, shape)?.f_to_kind(kind)?.into()))
        };
        Ok(vec![one(&by_a, &self.inputs[0])?, one(&by_b, &self.inputs[1])?])
    }

    fn bias(&self, saved: &Saved) -> Result<Option<Tensor>> {
        Ok(Some(saved.inputs[0].f_div(&saved.inputs[1])?))
    }
}
