//! Means over axes: ONNX GlobalAveragePool and ReduceMean.
//!
//! Linear: the bias is zero. Adjoint: grad_out / count, stretched over the axes that were averaged.

use tch::Tensor;

use crate::error::Result;
use crate::network::op::{self, Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
use crate::network::reading::{self, Reading};

/// The mean over some axes, never the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReduceMean {
    /// Sorted.
    pub axes: Vec<usize>,
    /// Whether they stay as axes of size 1.
    pub keep: bool,
}

impl ReduceMean {
    /// Reads an ONNX GlobalAveragePool.
    pub fn read_global(reading: &Reading) -> Result<Self, String> {
        let rank = reading.activation(0)?.len();
        if rank < 3 {
            return Err(format!("the input has {rank} axes, none of them spatial"));
        }
        Ok(ReduceMean { axes: (2..rank).collect(), keep: true })
    }

    /// Reads an ONNX ReduceMean: axes are an attribute before opset 18, an input from then on.
    pub fn read(reading: &Reading) -> Result<Self, String> {
        let rank = reading.activation(0)?.len();
        let given = reading.axes(1, "axes")?.unwrap_or_default();
        let mut axes: Vec<usize> = given.iter().map(|&a| reading::axis(a, rank)).collect::<Result<_, _>>()?;
        axes.sort_unstable();
        axes.dedup();
        if axes.is_empty() || axes[0] == 0 {
            return Err("averages over the batch (axis 0)".to_owned());
        }
        Ok(ReduceMean { axes, keep: reading.int("keepdims", 1)? != 0 })
    }
}

impl Operator for ReduceMean {
    fn name(&self) -> &'static str {
        "ReduceMean"
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        let sizes = op::only(inputs)?.iter().enumerate();
        let left = sizes.filter_map(|(axis, &size)| match (self.axes.contains(&axis), self.keep) {
            (false, _) => Some(size),
            (true, true) => Some(1),
            (true, false) => None,
        });
        Ok(vec![left.collect()])
    }

    fn spatial(&self) -> Spatial {
        Spatial::Keeps
    }

    fn has_bias(&self) -> bool {
        false
    }

    fn kernel(&self, _place: Place, inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        Ok(Box::new(ReduceMeanKernel { op: self.clone(), input: inputs[0].to_vec() }))
    }
}

struct ReduceMeanKernel {
    op: ReduceMean,
    input: Shape,
}

impl Kernel for ReduceMeanKernel {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        let axes: Vec<i64> = self.op.axes.iter().map(|&axis| axis as i64).collect();
        Ok(inputs[0].f_mean_dim(axes.as_slice(), self.op.keep, None)?.into())
    }

    fn keeps(&self) -> Keeps {
        Keeps::default()
    }

    fn adjoint(&self, _saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let [Some(grad)] = &grad_out[..] else { return Ok(vec![None]) };
        let count: usize = self.op.axes.iter().map(|&axis| self.input[axis]).product();
        let mut grad = grad.tensor.f_div_scalar(count as f64)?;
        if !self.op.keep {
            for &axis in &self.op.axes {
                grad = grad.f_unsqueeze(axis as i64)?;
            }
        }
        let mut size: Vec<i64> = self.input.iter().map(|&size| size as i64).collect();
        size[0] = grad.size()[0];
        Ok(vec![Some(Gradient { tensor: grad.f_expand(size, false)?, shared: true })])
    }

    fn bias(&self, _saved: &Saved) -> Result<Option<Tensor>> {
        Ok(None)
    }
}
