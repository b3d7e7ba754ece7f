//! Reshape, Flatten, Squeeze and Unsqueeze: the same elements under other axes, the batch axis first before and after.
//!
//! Linear: the bias is zero. Adjoint: grad_out under the input's axes.

use tch::Tensor;

use crate::error::Result;
use crate::network::op::{self, Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
use crate::network::reading::{self, Operand, Reading};

/// Other axes for the same elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reshape {
    /// The shape for a batch of one.
    pub shape: Shape,
    /// True where it is the input's own.
    pub unchanged: bool,
}

impl Reshape {
    fn to(input: &[usize], shape: Shape) -> Result<Self, String> {
        let (before, after) = (input.iter().product::<usize>(), shape.iter().try_fold(1usize, |p, &s| p.checked_mul(s)));
        if after != Some(before) || shape.first() != Some(&1) {
            return Err(format!("{input:?} cannot become {shape:?} with the batch axis first; export with a batch of one"));
        }
        Ok(Reshape { unchanged: input == shape, shape })
    }

    /// Reads an ONNX Reshape. The first size of the target has to be the batch: 0, -1, the batch size itself or 1.
    pub fn read(reading: &Reading) -> Result<Self, String> {
        let input = reading.activation(0)?;
        let allow_zero = reading.int("allowzero", 0)? != 0;
        let target: Vec<(i64, i64)> = match reading.operand(1) {
            Operand::Known(known) => known.values.iter().map(|dim| (dim.fixed, dim.per_batch)).collect(),
            _ => reading.optional_integers(1)?.ok_or("input 1 is missing")?.into_iter().map(|size| (size, 0)).collect(),
        };
        if target.len() > 16 {
            return Err(format!("the target has {} axes", target.len()));
        }
        let mut shape = Vec::with_capacity(target.len());
        let mut open = None;
        for (axis, &(fixed, per_batch)) in target.iter().enumerate() {
            let batch = axis == 0 && ((fixed, per_batch) == (0, 1) || (per_batch == 0 && reading.fixed_batch.is_some_and(|b| b as i64 == fixed)));
            shape.push(match (fixed, per_batch) {
                _ if batch => 1,
                (1, 0) if axis == 0 && reading.fixed_batch.is_some() => {
                    return Err(format!("the target joins the {} images of the batch", reading.fixed_batch.unwrap_or_default()));
                }
                (-1, 0) if open.is_none() => {
                    open = Some(axis);
                    1
                }
                (0, 0) if !allow_zero => *input.get(axis).ok_or_else(|| format!("axis {axis} of the target copies one that is not there"))?,
                (size, 0) if size > 0 => size as usize,
                _ => return Err(format!("size {fixed} + {per_batch} N on axis {axis} of the target is not supported")),
            });
        }
        if let Some(axis) = open {
            let rest = shape.iter().try_fold(1usize, |p, &s| p.checked_mul(s)).filter(|&rest| rest > 0);
            let total = input.iter().product::<usize>();
            shape[axis] = rest.filter(|rest| total.is_multiple_of(*rest)).map(|rest| total / rest).ok_or_else(|| format!("{total} elements do not fill {shape:?}"))?;
        }
        Self::to(input, shape)
    }

    /// Reads an ONNX Flatten.
    pub fn read_flatten(reading: &Reading) -> Result<Self, String> {
        let input = reading.activation(0)?;
        let axis = reading.int("axis", 1)?;
        let axis = if axis == input.len() as i64 { input.len() } else { reading::axis(axis, input.len())? };
        if axis == 0 {
            return Err("flattens the batch (axis 0) into one row".to_owned());
        }
        let (lead, rest) = input.split_at(axis);
        if lead.iter().product::<usize>() != 1 {
            return Err(format!("flattening {input:?} at axis {axis} mixes the batch axis with others"));
        }
        Self::to(input, vec![1, rest.iter().product()])
    }

    /// Reads an ONNX Squeeze.
    pub fn read_squeeze(reading: &Reading) -> Result<Self, String> {
        let input = reading.activation(0)?;
        let given = match reading.axes(1, "axes")? {
            Some(axes) => axes,
            // Left out, all of size 1 vanish: the batch too where the file fixes it, and that is read elsewhere.
            None if reading.fixed_batch == Some(1) => return Err("takes away the batch axis".to_owned()),
            None => (1..input.len()).filter(|&axis| input[axis] == 1).map(|axis| axis as i64).collect(),
        };
        let axes: Vec<usize> = given.iter().map(|&a| reading::axis(a, input.len())).collect::<Result<_, _>>()?;
        if let Some(&axis) = axes.iter().find(|&&axis| axis == 0 || input[axis] != 1) {
            return Err(format!("axis {axis} of {input:?} cannot be taken away"));
        }
        Self::to(input, input.iter().enumerate().filter(|(axis, _)| !axes.contains(axis)).map(|(_, &size)| size).collect())
    }

    /// Reads an ONNX Unsqueeze.
    pub fn read_unsqueeze(reading: &Reading) -> Result<Self, String> {
        let input = reading.activation(0)?;
        let given = reading.axes(1, "axes")?.ok_or("axes are missing")?;
        let rank = input.len() + given.len().min(16);
        let axes: Vec<usize> = given.iter().map(|&a| reading::axis(a, rank)).collect::<Result<_, _>>()?;
        if axes.contains(&0) {
            return Err("an axis before the batch is not supported".to_owned());
        }
        if (1..axes.len()).any(|i| axes[..i].contains(&axes[i])) {
            return Err(format!("axes {given:?} name one twice"));
        }
        let mut rest = input.iter().copied();
        let shape: Vec<usize> = (0..rank).map(|axis| if axes.contains(&axis) { 1 } else { rest.next().unwrap_or(1) }).collect();
        Self::to(input, shape)
    }
}

impl Operator for Reshape {
    fn name(&self) -> &'static str {
        "Reshape"
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        Self::to(op::only(inputs)?, self.shape.clone()).map(|reshape| vec![reshape.shape])
    }

    fn spatial(&self) -> Spatial {
        if self.unchanged { Spatial::Keeps } else { Spatial::Ends }
    }

    fn has_bias(&self) -> bool {
        false
    }

    fn kernel(&self, _place: Place, inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        Ok(Box::new(ReshapeKernel { input: inputs[0].to_vec(), output: self.shape.clone() }))
    }
}

struct ReshapeKernel {
    input: Shape,
    output: Shape,
}

fn with_batch(tensor: &Tensor, shape: &[usize]) -> Result<Tensor> {
    let mut size: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
    size[0] = tensor.size()[0];
    Ok(tensor.f_reshape(size)?)
}

impl Kernel for ReshapeKernel {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        Ok(with_batch(inputs[0], &self.output)?.into())
    }

    fn keeps(&self) -> Keeps {
        Keeps::default()
    }

    fn adjoint(&self, _saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let [Some(grad)] = &grad_out[..] else { return Ok(vec![None]) };
        Ok(vec![Some(Gradient { tensor: with_batch(&grad.tensor, &self.input)?, shared: grad.shared })])
    }

    fn bias(&self, _saved: &Saved) -> Result<Option<Tensor>> {
        Ok(None)
    }
}
