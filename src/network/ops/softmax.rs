//! Softmax and LogSoftmax along an axis.
//!
//! With s = softmax(x): ds = s (dx - <s, dx>), d log s = dx - <s, dx>. Adjoints: s (g - <s, g>), and g - s <1, g>.
//! Biases: s (1 - x + <s, x>), and log s - x + <s, x>.

use tch::Tensor;

use crate::error::Result;
use crate::network::op::{self, Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
use crate::network::reading::{self, Reading};

/// Along one axis, never the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Softmax {
    /// The axis.
    pub axis: usize,
    /// True for the logarithm.
    pub log: bool,
}

impl Softmax {
    /// Reads an ONNX Softmax or LogSoftmax. Before opset 13 they run over all axes from the given one on.
    pub fn read(reading: &Reading, log: bool) -> Result<Self, String> {
        let shape = reading.activation(0)?;
        let axis = reading::axis(reading.int("axis", if reading.opset < 13 { 1 } else { -1 })?, shape.len())?;
        if axis == 0 {
            return Err("runs over the batch (axis 0)".to_owned());
        }
        if reading.opset < 13 && shape[axis + 1..].iter().any(|&size| size != 1) {
            return Err(format!("before opset 13 it runs over all axes of {shape:?} from {axis} on; one axis is supported"));
        }
        Ok(Softmax { axis, log })
    }
}

impl Operator for Softmax {
    fn name(&self) -> &'static str {
        if self.log { "LogSoftmax" } else { "Softmax" }
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        Ok(vec![op::only(inputs)?.to_vec()])
    }

    fn spatial(&self) -> Spatial {
        Spatial::Keeps
    }

    fn has_bias(&self) -> bool {
        true
    }

    fn kernel(&self, _place: Place, _inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        Ok(Box::new(SoftmaxKernel { axis: self.axis as i64, log: self.log }))
    }
}

struct SoftmaxKernel {
    axis: i64,
    log: bool,
}

impl SoftmaxKernel {
    fn inner(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        Ok(a.f_mul(b)?.f_sum_dim_intlist([self.axis].as_slice(), true, None)?)
    }

    fn softmax(&self, saved: &Saved) -> Result<Tensor> {
        Ok(if self.log { saved.outputs[0].f_exp()? } else { saved.outputs[0].shallow_clone() })
    }
}

impl Kernel for SoftmaxKernel {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        let (x, none) = (inputs[0], None::<tch::Kind>);
        Ok(if self.log { x.f_log_softmax(self.axis, none)? } else { x.f_softmax(self.axis, none)? }.into())
    }

    fn keeps(&self) -> Keeps {
        Keeps { inputs: true, outputs: true }
    }

    fn adjoint(&self, saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let [Some(grad)] = &grad_out[..] else { return Ok(vec![None]) };
        let (s, g) = (self.softmax(saved)?, &grad.tensor);
        let grad_in = if self.log {
            g.f_sub(&s.f_mul(&g.f_sum_dim_intlist([self.axis].as_slice(), true, None)?)?)?
        } else {
            s.f_mul(&g.f_sub(&self.inner(&s, g)?)?)?
        };
        Ok(vec![Some(grad_in.into())])
    }

    fn bias(&self, saved: &Saved) -> Result<Option<Tensor>> {
        let (s, x) = (self.softmax(saved)?, &saved.inputs[0]);
        let off = self.inner(&s, x)?.f_sub(x)?;
        Ok(Some(if self.log { saved.outputs[0].f_add(&off)? } else { s.f_mul(&off.f_add_scalar(1.0)?)? }))
    }
}
