//! Normalisation over groups of elements: ONNX's LayerNormalization, InstanceNormalization, GroupNormalization and RMSNormalization are
//! forms of it.
//!
//! With mean m and variance v over some axes, s^2 = v + epsilon and x' = (x - m) / s: y = gamma x' + beta.
//! Derivative: gamma (dx - mean(dx) - x' mean(x' dx)) / s, with means over the axes. Adjoint, for h = gamma grad_out:
//! (h - mean(h) - x' mean(x' h)) / s. At dx = x it is gamma x' epsilon / s^2, so that the bias is beta + gamma x' v / s^2.
//! Not centred, m is 0, v is the mean square, the means of dx and h fall away, and the bias is the same.

use tch::{Kind, Tensor};

use crate::error::Result;
use crate::network::graph::Constant;
use crate::network::op::{self, Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
use crate::network::reading::{self, Reading};
use crate::network::{broadcast, weights};

/// Over which elements of an image mean and variance run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Over {
    /// Those along these axes.
    Axes(Vec<usize>),
    /// Those of so many groups of neighbouring channels (axis 1), each with all its pixels.
    Groups(usize),
}

/// A normalisation with its scale and shift.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerNorm {
    /// The elements that are normalised together.
    pub over: Over,
    /// Whether the mean is taken away.
    pub centred: bool,
    /// Added to the variance.
    pub epsilon: f64,
    /// gamma, broadcasts to the activation.
    pub scale: Option<Constant>,
    /// beta, broadcasts to the activation.
    pub shift: Option<Constant>,
}

impl LayerNorm {
    /// Reads an ONNX LayerNormalization.
    pub fn read(reading: &Reading) -> Result<Self, String> {
        Self::read_last_axes(reading, true)
    }

    /// Reads an ONNX RMSNormalization.
    pub fn read_root_mean_square(reading: &Reading) -> Result<Self, String> {
        Self::read_last_axes(reading, false)
    }

    fn read_last_axes(reading: &Reading, centred: bool) -> Result<Self, String> {
        let rank = reading.activation(0)?.len();
        let axis = reading::axis(reading.int("axis", -1)?, rank)?;
        if axis == 0 {
            return Err("normalises over the batch (axis 0)".to_owned());
        }
        Ok(LayerNorm {
            over: Over::Axes((axis..rank).collect()),
            centred,
            epsilon: epsilon(reading)?,
            scale: reading.optional_weights(1)?.cloned(),
            shift: reading.optional_weights(2)?.cloned(),
        })
    }

    /// Reads an ONNX InstanceNormalization.
    pub fn read_instance(reading: &Reading) -> Result<Self, String> {
        let input = reading.activation(0)?;
        if input.len() < 3 {
            return Err(format!("the input {input:?} has no spatial axes"));
        }
        let [scale, shift] = [1, 2].map(|index| per_channel(reading, index, input, 1));
        let over = Over::Axes((2..input.len()).collect());
        Ok(LayerNorm { over, centred: true, epsilon: epsilon(reading)?, scale: scale?, shift: shift? })
    }

    /// Reads an ONNX GroupNormalization: before opset 21 scale and shift are a number a group, from then on one a channel.
    pub fn read_group(reading: &Reading) -> Result<Self, String> {
        let input = reading.activation(0)?;
        let groups = reading.int("num_groups", 0)?;
        let groups = usize::try_from(groups).ok().filter(|&groups| groups > 0 && input.len() > 2 && input[1].is_multiple_of(groups));
        let groups = groups.ok_or_else(|| format!("attribute num_groups does not divide the channels of {input:?}"))?;
        let each = if reading.opset < 21 { input[1] / groups } else { 1 };
        let [scale, shift] = [1, 2].map(|index| per_channel(reading, index, input, each));
        Ok(LayerNorm { over: Over::Groups(groups), centred: true, epsilon: epsilon(reading)?, scale: scale?, shift: shift? })
    }
}

fn epsilon(reading: &Reading) -> Result<f64, String> {
    Ok(f64::from(reading.float("epsilon", 1e-5)?))
}

/// A vector over the channels, each of its numbers for `each` of them, in a shape that broadcasts.
fn per_channel(reading: &Reading, index: usize, input: &[usize], each: usize) -> Result<Option<Constant>, String> {
    let values = reading.weights(index)?.floats().unwrap_or_default();
    if values.len() * each != input[1] {
        return Err(format!("input {index} has {} numbers for the {} channels of {input:?}", values.len(), input[1]));
    }
    let values: Vec<f64> = values.iter().flat_map(|&value| std::iter::repeat_n(value, each)).collect();
    let shape = [vec![input[1]], vec![1; input.len() - 2]].concat();
    Ok(Some(Constant::from_floats(shape, values)))
}

impl Operator for LayerNorm {
    fn name(&self) -> &'static str {
        match &self.over {
            Over::Axes(_) if !self.centred => "RMSNormalization",
            Over::Axes(axes) if axes.first() == Some(&2) => "InstanceNormalization",
            Over::Axes(_) => "LayerNormalization",
            Over::Groups(_) => "GroupNormalization",
        }
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        let input = op::only(inputs)?;
        let shape = broadcast::images(inputs, self.scale.iter().chain(&self.shift))?;
        if shape != input {
            return Err(format!("scale and shift stretch the activation {input:?}"));
        }
        if let Over::Groups(groups) = self.over
            && (input.len() < 3 || !input[1].is_multiple_of(groups))
        {
            return Err(format!("{groups} groups do not divide the channels of {input:?}"));
        }
        Ok(vec![shape])
    }

    fn spatial(&self) -> Spatial {
        Spatial::Keeps
    }

    fn parameters(&self) -> usize {
        self.scale.iter().chain(&self.shift).map(|constant| constant.elements.len()).sum()
    }

    fn has_bias(&self) -> bool {
        true
    }

    fn kernel(&self, place: Place, inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        // Means over many elements want more than sixteen bits.
        let kind = if place.kind == Kind::Double { Kind::Double } else { Kind::Float };
        let constant = |constant: &Option<Constant>| constant.as_ref().map(|c| weights::tensor_of(c, place, kind)).transpose();
        Ok(Box::new(LayerNormKernel {
            over: self.over.clone(),
            centred: self.centred,
            epsilon: self.epsilon,
            scale: constant(&self.scale)?,
            shift: constant(&self.shift)?,
            kind,
            input: inputs[0].to_vec(),
        }))
    }
}

struct LayerNormKernel {
    over: Over,
    centred: bool,
    epsilon: f64,
    scale: Option<Tensor>,
    shift: Option<Tensor>,
    /// Of the arithmetic.
    kind: Kind,
    input: Shape,
}

impl LayerNormKernel {
    /// The tensor with the normalised elements along some axes, and those axes.
    fn grouped(&self, x: &Tensor) -> Result<(Tensor, Vec<i64>)> {
        match &self.over {
            Over::Axes(axes) => Ok((x.shallow_clone(), axes.iter().map(|&axis| axis as i64).collect())),
            Over::Groups(groups) => Ok((x.f_reshape([x.size()[0], *groups as i64, -1])?, vec![2])),
        }
    }

    /// The tensor back in its own shape.
    fn apart(&self, grouped: Tensor, batch: i64) -> Result<Tensor> {
        if let Over::Axes(_) = self.over {
            return Ok(grouped);
        }
        let mut size: Vec<i64> = self.input.iter().map(|&size| size as i64).collect();
        size[0] = batch;
        Ok(grouped.f_reshape(size)?)
    }

    /// x', grouped; s and v.
    fn normalised(&self, x: &Tensor) -> Result<(Tensor, Tensor, Tensor)> {
        let (x, axes) = self.grouped(&x.f_to_kind(self.kind)?)?;
        let off = if self.centred { x.f_sub(&x.f_mean_dim(axes.as_slice(), true, None)?)? } else { x };
        let variance = off.f_square()?.f_mean_dim(axes.as_slice(), true, None)?;
        let deviation = variance.f_add_scalar(self.epsilon)?.f_sqrt()?;
        Ok((off.f_div(&deviation)?, deviation, variance))
    }

    fn scaled(&self, x: Tensor) -> Result<Tensor> {
        Ok(match &self.scale {
            Some(scale) => x.f_mul(scale)?,
            None => x,
        })
    }

    fn shifted(&self, x: Tensor) -> Result<Tensor> {
        Ok(match &self.shift {
            Some(shift) => x.f_add(shift)?,
            None => x,
        })
    }
}

impl Kernel for LayerNormKernel {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        let x = inputs[0];
        let (normalised, _, _) = self.normalised(x)?;
        let y = self.shifted(self.scaled(self.apart(normalised, x.size()[0])?)?)?;
        Ok(y.f_to_kind(x.kind())?.into())
    }

    fn keeps(&self) -> Keeps {
        Keeps { inputs: true, outputs: false }
    }

    fn adjoint(&self, saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let [Some(grad)] = &grad_out[..] else { return Ok(vec![None]) };
        let (normalised, deviation, _) = self.normalised(&saved.inputs[0])?;
        let (h, axes) = self.grouped(&self.scaled(grad.tensor.f_to_kind(self.kind)?)?)?;
        let mean = |t: &Tensor| t.f_mean_dim(axes.as_slice(), true, None);
        let along = normalised.f_mul(&mean(&normalised.f_mul(&h)?)?)?;
        let h = if self.centred { h.f_sub(&mean(&h)?)? } else { h };
        let grad_in = h.f_sub(&along)?.f_div(&deviation)?;
        let grad_in = self.apart(grad_in, grad.tensor.size()[0])?;
        Ok(vec![Some(grad_in.f_to_kind(grad.tensor.kind())?.into())])
    }

    fn bias(&self, saved: &Saved) -> Result<Option<Tensor>> {
        let x = &saved.inputs[0];
        let (normalised, deviation, variance) = self.normalised(x)?;
        let share = normalised.f_mul(&variance.f_div(&deviation.f_square()?)?)?;
        let bias = self.shifted(self.scaled(self.apart(share, x.size()[0])?)?)?;
        Ok(Some(bias.f_to_kind(x.kind())?))
    }
}
