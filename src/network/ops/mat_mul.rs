//! MatMul of two activations, matrix by matrix: y = a b. What attention is made of.
//!
//! Derivative: da b + a db. Adjoints: grad_out b^T and a^T grad_out, summed over the axes that were stretched. Bias: -a b.

use tch::Tensor;

use super::{Linear, Read};
use crate::error::Result;
use crate::network::broadcast;
use crate::network::op::{Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
use crate::network::reading::{Operand, Reading};

/// Reads an ONNX MatMul: of two activations, or with a constant matrix.
pub fn read(reading: &Reading) -> Result<Read, String> {
    if let (Operand::Activation(_), Operand::Activation(_)) = (reading.operand(0), reading.operand(1)) {
        return Ok(Read::Op(MatMul.into()));
    }
    Ok(Read::Op(Linear::read_matmul(reading)?.into()))
}

/// The product of the matrices in the last two axes of two activations, the axes before them broadcast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatMul;

impl Operator for MatMul {
    fn name(&self) -> &'static str {
        "MatMul"
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        let &[a, b] = inputs else { return Err("two inputs are expected".to_owned()) };
        if a.len() != b.len() || a.len() < 3 {
            return Err(format!("shapes {a:?} and {b:?}: as many axes are expected, the batch and a matrix at least"));
        }
        let matrix = a.len() - 2;
        if a[matrix + 1] != b[matrix] {
            return Err(format!("matrices of {a:?} and {b:?} do not fit: {} columns against {} rows", a[matrix + 1], b[matrix]));
        }
        let mut shape = broadcast::shape(&a[..matrix], &b[..matrix])?;
        shape.extend([a[matrix], b[matrix + 1]]);
        Ok(vec![shape])
    }

    fn spatial(&self) -> Spatial {
        Spatial::Ends
    }

    fn macs(&self, inputs: &[&[usize]], outputs: &[Shape]) -> u64 {
        outputs[0].iter().product::<usize>() as u64 * inputs[0].last().copied().unwrap_or(0) as u64
    }

    fn has_bias(&self) -> bool {
        true
    }

    fn kernel(&self, _place: Place, inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        Ok(Box::new(MatMulKernel { inputs: [inputs[0].to_vec(), inputs[1].to_vec()] }))
    }
}

struct MatMulKernel {
    inputs: [Shape; 2],
}

impl Kernel for MatMulKernel {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        Ok(inputs[0].f_matmul(inputs[1])?.into())
    }

    fn keeps(&self) -> Keeps {
        Keeps { inputs: true, outputs: true }
    }

    fn adjoint(&self, saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let [Some(grad)] = &grad_out[..] else { return Ok(vec![None, None]) };
        let [a, b] = &saved.inputs[..] else { unreachable!("a product of two") };
        let of_a = grad.tensor.f_matmul(&b.f_transpose(-2, -1)?)?;
        let of_b = a.f_transpose(-2, -1)?.f_matmul(&grad.tensor)?;
        Ok(vec![Some(broadcast::adjoint(&of_a, &self.inputs[0])?.into()), Some(broadcast::adjoint(&of_b, &self.inputs[1])?.into())])
    }

    fn bias(&self, saved: &Saved) -> Result<Option<Tensor>> {
        Ok(Some(saved.outputs[0].f_neg()?))
    }
}
