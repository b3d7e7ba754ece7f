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

    /// Reads an ONNX ReduceMean.
    pub fn read(reading: &Reading) -> Result<Self, String> {
        let (axes, keep) = read_axes(reading)?;
        Ok(ReduceMean { axes, keep })
    }
}

/// The axes of a reduction, sorted, and whether they stay: an attribute in older opsets, an input from 18 on (ReduceSum: 13).
pub fn read_axes(reading: &Reading) -> Result<(Vec<usize>, bool), String> {
    let rank = reading.activation(0)?.len();
    let given = reading.axes(1, "axes")?.unwrap_or_default();
    let mut axes: Vec<usize> = given.iter().map(|&a| reading::axis(a, rank)).collect::<Result<_, _>>()?;
    axes.sort_unstable();
    axes.dedup();
    if axes.is_empty() && reading.int("noop_with_empty_axes", 0)? != 0 {
        return Err("reduces no axis (noop_with_empty_axes)".to_owned());
    }
    if axes.is_empty() || axes[0] == 0 {
        return Err("reduces the batch (axis 0)".to_owned());
    }
    Ok((axes, reading.int("keepdims", 1)? != 0))
}

/// The shape that is left.
pub fn reduced(input: &[usize], axes: &[usize], keep: bool) -> Shape {
    let left = input.iter().enumerate().filter_map(|(axis, &size)| match (axes.contains(&axis), keep) {
        (false, _) => Some(size),
        (true, true) => Some(1),
        (true, false) => None,
    });
    left.collect()
}

/// A reduced tensor stretched over the axes that were reduced; `input` is their shape for a batch of one.
pub fn stretched(tensor: &Tensor, axes: &[usize], keep: bool, input: &[usize]) -> Result<Tensor> {
    let mut tensor = tensor.shallow_clone();
    if !keep {
        for &axis in axes {
            tensor = tensor.f_unsqueeze(axis as i64)?;
        }
    }
    let mut size: Vec<i64> = input.iter().map(|&size| size as i64).collect();
    size[0] = tensor.size()[0];
    Ok(tensor.f_expand(size, false)?)
}

impl Operator for ReduceMean {
    fn name(&self) -> &'static str {
        "ReduceMean"
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        Ok(vec![reduced(op::only(inputs)?, &self.axes, self.keep)])
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
        let share = grad.tensor.f_div_scalar(count as f64)?;
        let tensor = stretched(&share, &self.op.axes, self.op.keep, &self.input)?;
        Ok(vec![Some(Gradient { tensor, shared: true })])
    }

    fn bias(&self, _saved: &Saved) -> Result<Option<Tensor>> {
        Ok(None)
    }
}
