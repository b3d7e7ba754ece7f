//! The mean of neighbours along one axis: y[i] = (x[i] + ... + x[i + size - 1]) / size. An ONNX AveragePool over other than two spatial
//! axes whose window is longer than one along one of them, as torch writes a mean over neighbouring channels.
//!
//! Linear: the bias is zero. Adjoint: grad_out / size, summed over the windows that hold a place.

use tch::Tensor;

use super::{AveragePool, Read};
use crate::error::Result;
use crate::network::op::{self, Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
use crate::network::reading::Reading;

/// Means of windows that move by one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AverageAlong {
    /// Never the batch.
    pub axis: usize,
    /// Of a window.
    pub size: usize,
}

/// Reads an ONNX AveragePool.
pub fn read(reading: &Reading) -> Result<Read, String> {
    let rank = reading.activation(0)?.len();
    if rank == 4 {
        return Ok(Read::Op(AveragePool::read(reading)?.into()));
    }
    Ok(Read::Op(AverageAlong::read(reading, rank)?.into()))
}

impl AverageAlong {
    fn read(reading: &Reading, rank: usize) -> Result<Self, String> {
        let refused = |what: &str| {
            Err(format!("the input has {rank} axes and {what}; of other than (N, C, H, W) only windows along one axis that move by one are supported"))
        };
        let kernel = reading.ints("kernel_shape")?.ok_or("attribute kernel_shape is missing")?;
        if rank < 3 || kernel.len() != rank - 2 {
            return refused(&format!("the window {kernel:?}"));
        }
        let each = |name: &str, plain: i64| Ok::<_, String>(reading.ints(name)?.unwrap_or_default().iter().all(|&value| value == plain));
        if !each("strides", 1)? || !each("dilations", 1)? || !each("pads", 0)? || reading.text("auto_pad", "NOTSET")? != "NOTSET" {
            return refused("strides, dilations or pads");
        }
        let long: Vec<usize> = (0..kernel.len()).filter(|&i| kernel[i] != 1).collect();
        match long[..] {
            [i] if (1..=4096).contains(&kernel[i]) => Ok(AverageAlong { axis: 2 + i, size: kernel[i] as usize }),
            _ => refused(&format!("the window {kernel:?}")),
        }
    }

    /// The sum of all windows' first, second and further elements, `places` of each.
    fn sums(&self, x: &Tensor, places: i64) -> Result<Tensor> {
        let axis = self.axis as i64;
        let mut sum = x.f_narrow(axis, 0, places)?.f_div_scalar(self.size as f64)?;
        for offset in 1..self.size as i64 {
            sum = sum.f_add(&x.f_narrow(axis, offset, places)?.f_div_scalar(self.size as f64)?)?;
        }
        Ok(sum)
    }
}

impl Operator for AverageAlong {
    fn name(&self) -> &'static str {
        "AverageAlong"
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        let mut shape = op::only(inputs)?.to_vec();
        match shape.get_mut(self.axis).filter(|_| self.axis > 0) {
            Some(size) if *size >= self.size => *size -= self.size - 1,
            _ => return Err(format!("a window of {} does not fit axis {} of {shape:?}", self.size, self.axis)),
        }
        Ok(vec![shape])
    }

    fn spatial(&self) -> Spatial {
        Spatial::Keeps
    }

    fn has_bias(&self) -> bool {
        false
    }

    fn kernel(&self, _place: Place, inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        Ok(Box::new(AverageAlongKernel { op: self.clone(), places: inputs[0][self.axis] as i64, rank: inputs[0].len() }))
    }
}

struct AverageAlongKernel {
    op: AverageAlong,
    /// Of the input, along the axis.
    places: i64,
    rank: usize,
}

impl Kernel for AverageAlongKernel {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        Ok(self.op.sums(inputs[0], self.places - self.op.size as i64 + 1)?.into())
    }

    fn keeps(&self) -> Keeps {
        Keeps::default()
    }

    fn adjoint(&self, _saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let [Some(grad)] = &grad_out[..] else { return Ok(vec![None]) };
        // libtorch counts pads from the last axis.
        let mut pads = vec![0; 2 * (self.rank - self.op.axis)];
        let last = pads.len();
        (pads[last - 2], pads[last - 1]) = (self.op.size as i64 - 1, self.op.size as i64 - 1);
        Ok(vec![Some(self.op.sums(&grad.tensor.f_constant_pad_nd(pads)?, self.places)?.into())])
    }

    fn bias(&self, _saved: &Saved) -> Result<Option<Tensor>> {
        Ok(None)
    }
}
