//! BatchNormalization with running statistics: y[c] = scale[c] x[c] + shift[c],
//! scale = gamma / sqrt(var + eps), shift = beta - mu * scale.
//!
//! Derivative: scale. Adjoint: scale * grad_out. Bias: shift. One that alone follows an affine node is folded into it (canonical).

use tch::Tensor;

use crate::error::Result;
use crate::network::graph::Constant;
use crate::network::op::{self, Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
use crate::network::reading::Reading;
use crate::network::weights;

/// A per-channel affine map.
#[derive(Debug, Clone)]
pub struct BatchNorm {
    /// (C,).
    pub scale: Vec<f64>,
    /// (C,).
    pub shift: Vec<f64>,
}

impl BatchNorm {
    /// Reads an ONNX BatchNormalization.
    pub fn read(reading: &Reading) -> Result<Self, String> {
        reading.activation(0)?;
        if reading.int("training_mode", 0)? != 0 {
            return Err("training_mode is on; export the network in evaluation mode".to_owned());
        }
        let epsilon = f64::from(reading.float("epsilon", 1e-5)?);
        let vector = |index| reading.weights(index).map(|w| w.floats().unwrap_or_default());
        let (gamma, beta, mean, variance) = (vector(1)?, vector(2)?, vector(3)?, vector(4)?);
        let channels = gamma.len();
        if [&beta, &mean, &variance].iter().any(|v| v.len() != channels) {
            return Err("scale, bias, mean and variance differ in length".to_owned());
        }
        if let Some(bad) = variance.iter().position(|v| v.is_nan() || v + epsilon <= 0.0) {
            return Err(format!("the variance of channel {bad} is {}", variance[bad]));
        }
        let scale: Vec<f64> = gamma.iter().zip(&variance).map(|(g, v)| g / (v + epsilon).sqrt()).collect();
        let shift = beta.iter().zip(&mean).zip(&scale).map(|((b, m), s)| b - m * s).collect();
        Ok(BatchNorm { scale, shift })
    }
}

impl Operator for BatchNorm {
    fn name(&self) -> &'static str {
        "BatchNormalization"
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        let input = op::only(inputs)?;
        match input.get(1) {
            Some(&channels) if channels == self.scale.len() => Ok(vec![input.to_vec()]),
            _ => Err(format!("the input {input:?} does not have the {} channels of the statistics", self.scale.len())),
        }
    }

    fn spatial(&self) -> Spatial {
        Spatial::Keeps
    }

    fn parameters(&self) -> usize {
        2 * self.scale.len()
    }

    fn has_bias(&self) -> bool {
        true
    }

    fn kernel(&self, place: Place, inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        let mut shape = vec![1; inputs[0].len()];
        shape[1] = self.scale.len();
        let vector = |values: &[f64]| weights::tensor(&Constant::from_floats(shape.clone(), values.to_vec()), place);
        Ok(Box::new(BatchNormKernel { scale: vector(&self.scale)?, shift: vector(&self.shift)? }))
    }
}

struct BatchNormKernel {
    scale: Tensor,
    shift: Tensor,
}

impl Kernel for BatchNormKernel {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        Ok(self.shift.f_addcmul(inputs[0], &self.scale)?.into())
    }

    fn keeps(&self) -> Keeps {
        Keeps::default()
    }

    fn adjoint(&self, _saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let [Some(grad)] = &grad_out[..] else { return Ok(vec![None]) };
        Ok(vec![Some(grad.tensor.f_mul(&self.scale)?.into())])
    }

    fn bias(&self, _saved: &Saved) -> Result<Option<Tensor>> {
        Ok(Some(self.shift.shallow_clone()))
    }
}
