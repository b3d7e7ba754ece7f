//! Linear: y = x W + b on the last axis. ONNX Gemm and MatMul with constant weights.
//!
//! Derivative: linear in x up to b. Adjoint: grad_out W^T. Bias: b.

use tch::Tensor;

use crate::error::Result;
use crate::network::graph::Constant;
use crate::network::op::{self, Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
use crate::network::reading::Reading;
use crate::network::weights;

/// A fully connected layer.
#[derive(Debug, Clone)]
pub struct Linear {
    /// (I, O).
    pub weight: Constant,
    /// (O,).
    pub bias: Option<Constant>,
}

impl Linear {
    /// Reads an ONNX Gemm: alpha * A' * B' + beta * C with B and C constant.
    pub fn read_gemm(reading: &Reading) -> Result<Self, String> {
        reading.activation(0)?;
        if reading.int("transA", 0)? != 0 {
            return Err("transA would move the batch axis".to_owned());
        }
        let weight = reading.weights(1)?;
        let &[rows, columns] = &weight.shape[..] else {
            return Err(format!("the weights have shape {:?}; a matrix is expected", weight.shape));
        };
        let alpha = f64::from(reading.float("alpha", 1.0)?);
        let values = weight.floats().unwrap_or_default();
        let weight = if reading.int("transB", 0)? != 0 {
            let turned = (0..rows * columns).map(|i| alpha * values[(i % rows) * columns + i / rows]).collect();
            Constant::from_floats(vec![columns, rows], turned)
        } else {
            Constant::from_floats(vec![rows, columns], values.iter().map(|v| alpha * v).collect())
        };
        let bias = reading.optional_weights(2)?.map(|c| Self::gemm_bias(c, reading, weight.shape[1])).transpose()?;
        Ok(Linear { weight, bias })
    }

    /// Reads an ONNX MatMul of an activation with a constant matrix.
    pub fn read_matmul(reading: &Reading) -> Result<Self, String> {
        reading.activation(0)?;
        let weight = reading.weights(1)?;
        match weight.shape.len() {
            2 => Ok(Linear { weight: weight.clone(), bias: None }),
            axes => Err(format!("the weights have {axes} axes; a matrix is expected")),
        }
    }

    fn gemm_bias(constant: &Constant, reading: &Reading, outputs: usize) -> Result<Constant, String> {
        let beta = f64::from(reading.float("beta", 1.0)?);
        let values = constant.floats().unwrap_or_default();
        let row: Vec<f64> = match values.len() {
            1 => vec![values[0]; outputs],
            n if n == outputs && constant.shape.last() == Some(&outputs) => values,
            _ => return Err(format!("the bias has shape {:?}, the weights make {outputs} outputs", constant.shape)),
        };
        Ok(Constant::from_floats(vec![outputs], row.iter().map(|v| beta * v).collect()))
    }
}

impl Operator for Linear {
    fn name(&self) -> &'static str {
        "Linear"
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        let input = op::only(inputs)?;
        let (last, expected) = (input.last(), self.weight.shape[0]);
        if input.len() < 2 || last != Some(&expected) {
            return Err(format!("the input {input:?} does not end in the {expected} values that the weights take"));
        }
        let mut shape = input.to_vec();
        *shape.last_mut().expect("has two axes") = self.weight.shape[1];
        Ok(vec![shape])
    }

    fn spatial(&self) -> Spatial {
        Spatial::Keeps
    }

    fn parameters(&self) -> usize {
        self.weight.elements.len() + self.bias.as_ref().map_or(0, |bias| bias.elements.len())
    }

    fn macs(&self, inputs: &[&[usize]], _outputs: &[Shape]) -> u64 {
        inputs[0].iter().product::<usize>() as u64 * self.weight.shape[1] as u64
    }

    fn has_bias(&self) -> bool {
        self.bias.is_some()
    }

    fn kernel(&self, place: Place, _inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        let weight = weights::tensor(&self.weight, place)?;
        let turned = weight.f_tr()?.f_contiguous()?;
        let bias = self.bias.as_ref().map(|bias| weights::tensor(bias, place)).transpose()?;
        Ok(Box::new(LinearKernel { turned, bias }))
    }
}

struct LinearKernel {
    /// (O, I): libtorch's own layout.
    turned: Tensor,
    bias: Option<Tensor>,
}

impl Kernel for LinearKernel {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        Ok(inputs[0].f_linear(&self.turned, self.bias.as_ref())?.into())
    }

    fn keeps(&self) -> Keeps {
        Keeps::default()
    }

    fn adjoint(&self, _saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let [Some(grad)] = &grad_out[..] else { return Ok(vec![None]) };
        Ok(vec![Some(grad.tensor.f_matmul(&self.turned)?.into())])
    }

    fn bias(&self, _saved: &Saved) -> Result<Option<Tensor>> {
        Ok(self.bias.as_ref().map(Tensor::shallow_clone))
    }
}
