//! Reductions over axes other than the mean: ONNX's ReduceSum, ReduceMax, ReduceMin, ReduceL1, ReduceL2, ReduceSumSquare,
//! ReduceLogSumExp, and GlobalMaxPool.
//!
//! Sum, L1, L2, largest and smallest are homogeneous: their bias is zero. y = sum x^2 has Dy x = 2 y: its bias is -y. y = log sum e^x has
//! the softmax s as its gradient: its bias is y - sum s x. Of largest values alike the first in row-major order is the one. The norm's
//! derivative at zero is taken as zero, and so is that of a magnitude.

use tch::Tensor;

use crate::error::Result;
use crate::network::op::{self, Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
use crate::network::ops::reduce_mean::{self, stretched};
use crate::network::reading::Reading;

/// What is made of the elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Reduction {
    Sum,
    Largest,
    Smallest,
    L1,
    L2,
    SumSquare,
    LogSumExp,
}

/// A reduction over some axes, never the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reduce {
    /// Of what kind.
    pub reduction: Reduction,
    /// Sorted.
    pub axes: Vec<usize>,
    /// Whether they stay as axes of size 1.
    pub keep: bool,
}

impl Reduce {
    /// Reads a reduction of ONNX.
    pub fn read(reading: &Reading, reduction: Reduction) -> Result<Self, String> {
        let (axes, keep) = reduce_mean::read_axes(reading)?;
        Ok(Reduce { reduction, axes, keep })
    }

    /// Reads an ONNX GlobalMaxPool.
    pub fn read_global_max(reading: &Reading) -> Result<Self, String> {
        let rank = reading.activation(0)?.len();
        if rank < 3 {
            return Err(format!("the input has {rank} axes, none of them spatial"));
        }
        Ok(Reduce { reduction: Reduction::Largest, axes: (2..rank).collect(), keep: true })
    }
}

impl Operator for Reduce {
    fn name(&self) -> &'static str {
        match self.reduction {
            Reduction::Sum => "ReduceSum",
            Reduction::Largest => "ReduceMax",
            Reduction::Smallest => "ReduceMin",
            Reduction::L1 => "ReduceL1",
            Reduction::L2 => "ReduceL2",
            Reduction::SumSquare => "ReduceSumSquare",
            Reduction::LogSumExp => "ReduceLogSumExp",
        }
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        Ok(vec![reduce_mean::reduced(op::only(inputs)?, &self.axes, self.keep)])
    }

    fn spatial(&self) -> Spatial {
        Spatial::Keeps
    }

    fn has_bias(&self) -> bool {
        matches!(self.reduction, Reduction::SumSquare | Reduction::LogSumExp)
    }

    fn kernel(&self, _place: Place, inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        Ok(Box::new(ReduceKernel { op: self.clone(), input: inputs[0].to_vec() }))
    }
}

struct ReduceKernel {
    op: Reduce,
    input: Shape,
}

impl ReduceKernel {
    fn axes(&self) -> Vec<i64> {
        self.op.axes.iter().map(|&axis| axis as i64).collect()
    }

    /// The axes that are reduced behind all others, as one: for what needs a single axis.
    fn gathered(&self, x: &Tensor) -> Result<Tensor> {
        let order = self.order();
        let kept = (self.input.len() - self.op.axes.len()) as i64;
        Ok(x.f_permute(order.as_slice())?.f_flatten(kept, -1)?)
    }

    fn order(&self) -> Vec<i64> {
        let kept = (0..self.input.len()).filter(|axis| !self.op.axes.contains(axis));
        kept.chain(self.op.axes.iter().copied()).map(|axis| axis as i64).collect()
    }

    /// Where the element lies that was taken, among the gathered ones.
    fn winner(&self, x: &Tensor) -> Result<Tensor> {
        let gathered = self.gathered(x)?;
        let last = gathered.dim() as i64 - 1;
        // argmax of libtorch gives the first of several alike.
        Ok(if self.op.reduction == Reduction::Largest { gathered.f_argmax(last, true)? } else { gathered.f_argmin(last, true)? })
    }
}

impl Kernel for ReduceKernel {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        let (x, axes, keep) = (inputs[0], self.axes(), self.op.keep);
        Ok(match self.op.reduction {
            Reduction::Sum => x.f_sum_dim_intlist(axes.as_slice(), keep, None)?,
            Reduction::Largest => x.f_amax(axes.as_slice(), keep)?,
            Reduction::Smallest => x.f_amin(axes.as_slice(), keep)?,
            Reduction::L1 => x.f_abs()?.f_sum_dim_intlist(axes.as_slice(), keep, None)?,
            Reduction::L2 => x.f_square()?.f_sum_dim_intlist(axes.as_slice(), keep, None)?.f_sqrt()?,
            Reduction::SumSquare => x.f_square()?.f_sum_dim_intlist(axes.as_slice(), keep, None)?,
            Reduction::LogSumExp => x.f_logsumexp(axes.as_slice(), keep)?,
        }
        .into())
    }

    fn keeps(&self) -> Keeps {
        Keeps { inputs: self.op.reduction != Reduction::Sum, outputs: self.op.reduction != Reduction::Sum }
    }

    fn adjoint(&self, saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let [Some(grad)] = &grad_out[..] else { return Ok(vec![None]) };
        let grad = stretched(&grad.tensor, &self.op.axes, self.op.keep, &self.input)?;
        let (Some(x), Some(y)) = (saved.inputs.first(), saved.outputs.first()) else {
            return Ok(vec![Some(Gradient { tensor: grad, shared: true })]);
        };
        let y = || stretched(y, &self.op.axes, self.op.keep, &self.input);
        let grad_in = match self.op.reduction {
            Reduction::Sum => grad,
            Reduction::Largest | Reduction::Smallest => {
                let index = self.winner(x)?;
                let gathered = self.gathered(&grad)?;
                let last = gathered.dim() as i64 - 1;
                let picked = gathered.f_gather(last, &index, false)?;
                let flat = gathered.f_zeros_like()?.f_scatter(last, &index, &picked)?;
                let order = self.order();
                let size: Vec<i64> = order.iter().map(|&axis| x.size()[axis as usize]).collect();
                let mut back = vec![0; order.len()];
                order.iter().enumerate().for_each(|(at, &axis)| back[axis as usize] = at as i64);
                flat.f_reshape(size)?.f_permute(back)?
            }
            Reduction::L1 => grad.f_mul(&x.f_sign()?)?,
            Reduction::L2 => {
                let y = y()?;
                grad.f_mul(x)?.f_div(&y)?.f_masked_fill(&y.f_eq(0.0)?, 0.0)?
            }
            Reduction::SumSquare => grad.f_mul(x)?.f_mul_scalar(2.0)?,
            Reduction::LogSumExp => grad.f_mul(&x.f_sub(&y()?)?.f_exp()?)?,
        };
        Ok(vec![Some(grad_in.into())])
    }

    fn bias(&self, saved: &Saved) -> Result<Option<Tensor>> {
        match self.op.reduction {
            Reduction::SumSquare => Ok(Some(saved.outputs[0].f_neg()?)),
            Reduction::LogSumExp => {
                let (x, y) = (&saved.inputs[0], &saved.outputs[0]);
                let softmax = x.f_sub(&stretched(y, &self.op.axes, self.op.keep, &self.input)?)?.f_exp()?;
                Ok(Some(y.f_sub(&softmax.f_mul(x)?.f_sum_dim_intlist(self.axes().as_slice(), self.op.keep, None)?)?))
            }
            _ => Ok(None),
        }
    }
}
