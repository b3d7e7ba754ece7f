//! Slice and Split: a range of an axis, for each output.
//!
//! Linear: the bias is zero. Adjoint: grad_out laid into zeros at the range.

use tch::Tensor;

use crate::error::Result;
use crate::network::memory;
use crate::network::op::{self, Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
use crate::network::reading::{self, Reading};

/// Ranges of one axis, one an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// The axis, never the batch.
    pub axis: usize,
    /// (first, one past the last) of each output.
    pub ranges: Vec<(usize, usize)>,
}

impl Slice {
    /// Reads an ONNX Slice of one axis with step 1.
    pub fn read(reading: &Reading) -> Result<Self, String> {
        let shape = reading.activation(0)?;
        let given = |index, name: &str| reading.axes(index, name)?.ok_or_else(|| format!("{name} is missing"));
        let (starts, ends) = (given(1, "starts")?, given(2, "ends")?);
        let axes = reading.axes(3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
        if let Some(steps) = reading.optional_integers(4)?.filter(|steps| steps.iter().any(|&step| step != 1)) {
            return Err(format!("steps are {steps:?}; only 1 is supported"));
        }
        let (&[start], &[end], &[axis]) = (&starts[..], &ends[..], &axes[..]) else {
            return Err(format!("{} axes are cut; one is supported", axes.len()));
        };
        let axis = not_batch(reading::axis(axis, shape.len())?)?;
        let size = shape[axis] as i64;
        let at = |index: i64| if index < 0 { index.saturating_add(size) } else { index }.clamp(0, size) as usize;
        Ok(Slice { axis, ranges: vec![(at(start), at(end))] })
    }

    /// Reads an ONNX Split.
    pub fn read_split(reading: &Reading) -> Result<Self, String> {
        let shape = reading.activation(0)?;
        let axis = not_batch(reading::axis(reading.int("axis", 0)?, shape.len())?)?;
        let (size, outputs) = (shape[axis], reading.node.outputs.len());
        let lengths: Vec<usize> = match reading.axes(1, "split")? {
            Some(split) => split
                .iter()
                .map(|&length| usize::try_from(length).map_err(|_| format!("split {split:?} holds a negative length")))
                .collect::<Result<_, _>>()?,
            None => {
                let length = size.div_ceil(outputs);
                (0..outputs).map(|i| size.saturating_sub(i * length).min(length)).collect()
            }
        };
        if lengths.len() != outputs || lengths.iter().try_fold(0usize, |sum, &l| sum.checked_add(l)) != Some(size) {
            return Err(format!("lengths {lengths:?} do not divide {size} into {outputs} outputs"));
        }
        let mut first = 0;
        let ranges = lengths.iter().map(|length| (first, { first += length; first })).collect();
        Ok(Slice { axis, ranges })
    }
}

fn not_batch(axis: usize) -> Result<usize, String> {
    if axis == 0 { Err("cuts the batch (axis 0)".to_owned()) } else { Ok(axis) }
}

impl Operator for Slice {
    fn name(&self) -> &'static str {
        if self.ranges.len() == 1 { "Slice" } else { "Split" }
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        let input = op::only(inputs)?;
        self.ranges
            .iter()
            .map(|&(first, end)| match input.get(self.axis) {
                Some(&size) if first < end && end <= size => {
                    let mut shape = input.to_vec();
                    shape[self.axis] = end - first;
                    Ok(shape)
                }
                _ => Err(format!("the range {first}..{end} of axis {} is empty or outside {input:?}", self.axis)),
            })
            .collect()
    }

    fn spatial(&self) -> Spatial {
        Spatial::Keeps
    }

    fn has_bias(&self) -> bool {
        false
    }

    fn kernel(&self, _place: Place, inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        Ok(Box::new(SliceKernel { op: self.clone(), size: inputs[0][self.axis] }))
    }
}

struct SliceKernel {
    op: Slice,
    size: usize,
}

impl Kernel for SliceKernel {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        let cut = |&(first, end): &(usize, usize)| {
            memory::compact(&inputs[0].f_narrow(self.op.axis as i64, first as i64, (end - first) as i64)?)
        };
        Ok(Forward { outputs: self.op.ranges.iter().map(cut).collect::<Result<_>>()?, extra: Vec::new() })
    }

    fn keeps(&self) -> Keeps {
        Keeps::default()
    }

    fn adjoint(&self, _saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let mut sum: Option<Tensor> = None;
        for (&(first, end), grad) in self.op.ranges.iter().zip(&grad_out) {
            let Some(grad) = grad else { continue };
            // constant_pad_nd counts axes from the last: a pair of zeros for each axis behind the one that is padded.
            let mut border = vec![0; 2 * (grad.tensor.dim() - 1 - self.op.axis)];
            border.extend([first as i64, (self.size - end) as i64]);
            let part = grad.tensor.f_constant_pad_nd(border)?;
            sum = Some(match sum {
                Some(sum) => sum.f_add(&part)?,
                None => part,
            });
        }
        Ok(vec![sum.map(Gradient::from)])
    }

    fn bias(&self, _saved: &Saved) -> Result<Option<Tensor>> {
        Ok(None)
    }
}
