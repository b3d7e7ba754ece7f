//! Conv: y[o] = sum over i, k of W[o, i, k] x[i, s p + d k - pad] + b[o], two spatial axes, groups.
//!
//! Derivative: linear in x up to b. Adjoint: the transposed convolution of grad_out with W. Bias: b.
//! A stride of one makes the adjoint a convolution again, with W transposed and flipped once, when the kernel is made.

use tch::Tensor;

use super::window::{Window, ints};
use crate::error::Result;
use crate::network::graph::Constant;
use crate::network::op::{Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
use crate::network::reading::Reading;
use crate::network::{memory, weights};

/// A two-dimensional convolution.
#[derive(Debug, Clone)]
pub struct Conv {
    /// (O, I / groups, kh, kw).
    pub weight: Constant,
    /// (O,).
    pub bias: Option<Constant>,
    /// Kernel, strides, pads, dilations.
    pub window: Window,
    /// Channel groups.
    pub groups: usize,
}

impl Conv {
    /// Reads an ONNX Conv.
    pub fn read(reading: &Reading) -> Result<Self, String> {
        let weight = reading.weights(1)?;
        let [_, _, rows, columns] = weight.shape[..] else {
            return Err(format!("the weights have shape {:?}; only (O, I, kh, kw) is supported", weight.shape));
        };
        if weight.shape.contains(&0) {
            return Err(format!("the weights have shape {:?}, which holds nothing", weight.shape));
        }
        let groups = reading.int("group", 1)?;
        let groups = usize::try_from(groups).ok().filter(|&g| g >= 1 && weight.shape[0].is_multiple_of(g));
        let groups = groups.ok_or_else(|| format!("attribute group does not divide the {} output channels", weight.shape[0]))?;
        let bias = reading.optional_weights(2)?;
        if let Some(bias) = bias.filter(|bias| bias.shape != [weight.shape[0]]) {
            return Err(format!("the bias has shape {:?}, the weights make {} channels", bias.shape, weight.shape[0]));
        }
        let window = Window::read(reading, Some([rows, columns]), reading.activation(0)?)?;
        Ok(Conv { weight: weight.clone(), bias: bias.cloned(), window, groups })
    }

    /// Number of output channels.
    pub fn channels(&self) -> usize {
        self.weight.shape[0]
    }
}

impl Operator for Conv {
    fn name(&self) -> &'static str {
        "Conv"
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        let &[&[batch, channels, rows, columns]] = inputs else {
            return Err("one input (N, C, H, W) is expected".to_owned());
        };
        let expected = self.weight.shape[1] * self.groups;
        if channels != expected {
            return Err(format!("the input has {channels} channels, the weights take {expected}"));
        }
        self.window.check_border([channels, rows, columns])?;
        let [rows, columns] = self.window.output([rows, columns])?;
        Ok(vec![vec![batch, self.channels(), rows, columns]])
    }

    fn spatial(&self) -> Spatial {
        Spatial::Starts
    }

    fn parameters(&self) -> usize {
        self.weight.elements.len() + self.bias.as_ref().map_or(0, |bias| bias.elements.len())
    }

    fn macs(&self, _inputs: &[&[usize]], outputs: &[Shape]) -> u64 {
        let positions = (outputs[0][2] * outputs[0][3]) as u64;
        positions * self.weight.elements.len() as u64
    }

    fn has_bias(&self) -> bool {
        self.bias.is_some()
    }

    fn kernel(&self, place: Place, inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        Ok(Box::new(ConvKernel::new(self, place, [inputs[0][2], inputs[0][3]])?))
    }
}

/// How grad_in is made.
#[derive(Debug)]
enum Adjoint {
    /// A convolution of stride one with these weights (I, O / groups, kh, kw) and border.
    Flipped { weight: Tensor, padding: [i64; 2] },
    /// A transposed convolution with the forward weights, that makes the picture with what its border has on one side more than on the
    /// other; the picture starts at `first`.
    Transposed { padding: [i64; 2], output_padding: [i64; 2], first: [i64; 2] },
}

/// A convolution with its weights on a device.
#[derive(Debug)]
pub struct ConvKernel {
    weight: Tensor,
    bias: Option<Tensor>,
    window: Window,
    groups: i64,
    input: [usize; 2],
    adjoint: Adjoint,
}

impl ConvKernel {
    /// Lays the weights out for both directions; `input` is the rows and columns of x.
    pub fn new(conv: &Conv, place: Place, input: [usize; 2]) -> Result<Self> {
        let weight = weights::convolved(&conv.weight, place)?;
        let weight = if place.channels_last() { memory::channels_last(&weight)? } else { weight };
        let bias = conv.bias.as_ref().map(|bias| weights::convolved(bias, place)).transpose()?;
        let adjoint = adjoint(conv, &weight, input, place)?;
        Ok(ConvKernel { weight, bias, window: conv.window.clone(), groups: conv.groups as i64, input, adjoint })
    }

    /// y for x (N, C, H, W).
    pub fn run(&self, x: &Tensor) -> Result<Tensor> {
        let w = &self.window;
        if w.symmetric() {
            return self.convolve(x, &self.weight, self.bias.as_ref(), ints(w.strides), ints(w.pads_begin));
        }
        let padded = x.f_constant_pad_nd(w.border())?;
        self.convolve(&padded, &self.weight, self.bias.as_ref(), ints(w.strides), [0, 0])
    }

    fn convolve(&self, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, strides: [i64; 2], padding: [i64; 2]) -> Result<Tensor> {
        let dilations = ints(self.window.dilations);
        let y = x.f_to_kind(weight.kind())?.f_conv2d(weight, bias, strides, padding, dilations, self.groups)?;
        Ok(y.f_to_kind(x.kind())?)
    }

    /// grad_in for grad_out.
    pub fn run_adjoint(&self, grad: &Tensor) -> Result<Tensor> {
        let w = &self.window;
        let dilations = ints(w.dilations);
        match &self.adjoint {
            Adjoint::Flipped { weight, padding } => self.convolve(grad, weight, None, [1, 1], *padding),
            Adjoint::Transposed { padding, output_padding, first } => {
                let (none, strides) = (None::<&Tensor>, ints(w.strides));
                let wide = grad.f_to_kind(self.weight.kind())?;
                let wide = wide.f_conv_transpose2d(&self.weight, none, strides, padding, output_padding, self.groups, dilations)?;
                let grad = wide.f_to_kind(grad.kind())?;
                if w.symmetric() {
                    return Ok(grad);
                }
                let view = grad.f_narrow(2, first[0], self.input[0] as i64)?.f_narrow(3, first[1], self.input[1] as i64)?;
                memory::compact(&view)
            }
        }
    }
}

/// The weights of the convolution of stride one that is the adjoint of one of stride one:
/// (O, I / g, kh, kw) to (I, O / g, kh, kw), flipped on both spatial axes.
pub fn flipped_weight(weight: &Tensor, groups: usize) -> Result<Tensor> {
    let [o, i, rows, columns] = weight.size()[..] else { unreachable!("a convolution's weights have four axes") };
    let groups = groups as i64;
    let split = weight.f_reshape([groups, o / groups, i, rows, columns])?;
    Ok(split.f_transpose(1, 2)?.f_flip([3, 4])?.f_reshape([groups * i, o / groups, rows, columns])?)
}

fn adjoint(conv: &Conv, weight: &Tensor, input: [usize; 2], place: Place) -> Result<Adjoint> {
    let w = &conv.window;
    let fits = (0..2).all(|i| w.reach(i) > w.pads_begin[i]);
    if w.strides == [1, 1] && w.symmetric() && fits {
        let turned = flipped_weight(weight, conv.groups)?;
        let weight = if place.channels_last() { memory::channels_last(&turned)? } else { turned.f_contiguous()? };
        let padding = [0, 1].map(|i| (w.reach(i) - 1 - w.pads_begin[i]) as i64);
        return Ok(Adjoint::Flipped { weight, padding });
    }
    let padding = [0, 1].map(|i| w.pads_begin[i].min(w.pads_end[i]));
    // Pixels at the end that no window reaches.
    let rest = [0, 1].map(|i| (input[i] + w.pads_begin[i] + w.pads_end[i] - w.reach(i)) % w.strides[i]);
    let first = [0, 1].map(|i| w.pads_begin[i] - padding[i]);
    Ok(Adjoint::Transposed { padding: ints(padding), output_padding: ints(rest), first: ints(first) })
}

impl Kernel for ConvKernel {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        Ok(self.run(inputs[0])?.into())
    }

    fn keeps(&self) -> Keeps {
        Keeps::default()
    }

    fn adjoint(&self, _saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let [Some(grad)] = &grad_out[..] else { return Ok(vec![None]) };
        Ok(vec![Some(self.run_adjoint(&grad.tensor)?.into())])
    }

    fn bias(&self, _saved: &Saved) -> Result<Option<Tensor>> {
        Ok(self.bias.as_ref().map(|bias| bias.f_view([1, -1, 1, 1])).transpose()?)
    }
}
