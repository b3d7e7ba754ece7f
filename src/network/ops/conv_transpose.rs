//! ConvTranspose: y[o] = sum over i, k of W[i, o, k] x[i, p] for all p, k with s p + d k - pad = position, plus b[o]; two axes, groups.
//!
//! Derivative: linear in x up to b. Adjoint: the convolution of grad_out with W. Bias: b.

use tch::Tensor;

use super::window::{Window, ints};
use crate::error::Result;
use crate::network::graph::Constant;
use crate::network::op::{Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
use crate::network::reading::Reading;
use crate::network::{memory, weights};

/// A two-dimensional transposed convolution.
#[derive(Debug, Clone)]
pub struct ConvTranspose {
    /// (I, O / groups, kh, kw).
    pub weight: Constant,
    /// (O,).
    pub bias: Option<Constant>,
    /// Kernel, strides, dilations, and the pads that are cut off the output.
    pub window: Window,
    /// Added to the output behind its last row and column: places that no input reaches, or that the end pads would have cut.
    pub output_padding: [usize; 2],
    /// Channel groups.
    pub groups: usize,
}

impl ConvTranspose {
    /// Reads an ONNX ConvTranspose.
    pub fn read(reading: &Reading) -> Result<Self, String> {
        let input = reading.activation(0)?;
        let weight = reading.weights(1)?;
        let [channels, each, rows, columns] = weight.shape[..] else {
            return Err(format!("the weights have shape {:?}; only (I, O, kh, kw) is supported", weight.shape));
        };
        if weight.shape.contains(&0) {
            return Err(format!("the weights have shape {:?}, which holds nothing", weight.shape));
        }
        let groups = usize::try_from(reading.int("group", 1)?).ok().filter(|&g| g >= 1 && channels.is_multiple_of(g));
        let groups = groups.ok_or_else(|| format!("attribute group does not divide the {channels} input channels"))?;
        let outputs = each.checked_mul(groups).ok_or("channels overflow")?;
        let bias = reading.optional_weights(2)?;
        if let Some(bias) = bias.filter(|bias| bias.shape != [outputs]) {
            return Err(format!("the bias has shape {:?}, the weights make {outputs} channels", bias.shape));
        }
        let extra = match reading.ints("output_padding")? {
            None => [0, 0],
            Some(values) => match values[..] {
                [a, b] if (0..4096).contains(&a) && (0..4096).contains(&b) => [a as usize, b as usize],
                _ => return Err(format!("attribute output_padding is {values:?}; two small numbers are expected")),
            },
        };
        let mut window = Window::without_pads(reading, Some([rows, columns]), input)?;
        let whole = [0, 1].map(|i| window.strides[i] * (input[2 + i] - 1) + extra[i] + window.reach(i));
        let auto = reading.text("auto_pad", "NOTSET")?;
        let stated = reading.ints("output_shape")?;
        let wanted: Option<[usize; 2]> = match (&stated, auto.as_str()) {
            (Some(sizes), _) => match sizes[sizes.len().saturating_sub(2)..] {
                [a, b] if a > 0 && b > 0 => Some([a as usize, b as usize]),
                _ => return Err(format!("attribute output_shape is {sizes:?}; two sizes are expected")),
            },
            (None, "SAME_UPPER" | "SAME_LOWER") => Some([0, 1].map(|i| input[2 + i] * window.strides[i])),
            (None, _) => None,
        };
        if wanted.is_none() && auto == "NOTSET" {
            window.read_pads(reading)?;
        }
        if let Some(wanted) = wanted {
            for i in 0..2 {
                let cut = whole[i].checked_sub(wanted[i]).ok_or_else(|| format!("an output of {wanted:?} is larger than what is made, {whole:?}"))?;
                let less = cut / 2;
                let (begin, end) = if auto == "SAME_UPPER" { (less, cut - less) } else { (cut - less, less) };
                (window.pads_begin[i], window.pads_end[i]) = (begin, end);
            }
        }
        Ok(ConvTranspose { weight: weight.clone(), bias: bias.cloned(), window, output_padding: extra, groups })
    }

    /// Number of output channels.
    pub fn channels(&self) -> usize {
        self.weight.shape[1] * self.groups
    }

    fn output(&self, i: usize, input: usize) -> Option<usize> {
        let w = &self.window;
        let whole = w.strides[i] * (input - 1) + self.output_padding[i] + w.reach(i);
        whole.checked_sub(w.pads_begin[i] + w.pads_end[i]).filter(|&size| size > 0)
    }
}

impl Operator for ConvTranspose {
    fn name(&self) -> &'static str {
        "ConvTranspose"
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        let &[&[batch, channels, rows, columns]] = inputs else {
            return Err("one input (N, C, H, W) is expected".to_owned());
        };
        if channels != self.weight.shape[0] {
            return Err(format!("the input has {channels} channels, the weights take {}", self.weight.shape[0]));
        }
        match (self.output(0, rows), self.output(1, columns)) {
            (Some(rows), Some(columns)) => Ok(vec![vec![batch, self.channels(), rows, columns]]),
            _ => Err("the pads cut the whole output off".to_owned()),
        }
    }

    fn spatial(&self) -> Spatial {
        Spatial::Starts
    }

    fn parameters(&self) -> usize {
        self.weight.elements.len() + self.bias.as_ref().map_or(0, |bias| bias.elements.len())
    }

    fn macs(&self, inputs: &[&[usize]], _outputs: &[Shape]) -> u64 {
        (inputs[0][2] * inputs[0][3]) as u64 * self.weight.elements.len() as u64
    }

    fn has_bias(&self) -> bool {
        self.bias.is_some()
    }

    fn kernel(&self, place: Place, inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        let weight = weights::convolved(&self.weight, place)?;
        let bias = self.bias.as_ref().map(|bias| weights::convolved(bias, place)).transpose()?;
        let input = [inputs[0][2], inputs[0][3]];
        let output = [0, 1].map(|i| self.output(i, input[i]).expect("shapes() has looked"));
        Ok(Box::new(ConvTransposeKernel { weight, bias, op: self.clone(), input, output }))
    }
}

struct ConvTransposeKernel {
    weight: Tensor,
    bias: Option<Tensor>,
    op: ConvTranspose,
    input: [usize; 2],
    output: [usize; 2],
}

impl Kernel for ConvTransposeKernel {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        let w = &self.op.window;
        let x = inputs[0].f_to_kind(self.weight.kind())?;
        let groups = self.op.groups as i64;
        // libtorch adds at most a stride behind the end; what the end pads leave of it is cut here.
        let rest = [0, 1].map(|i| (w.pads_begin[i] + self.output[i]).saturating_sub(w.strides[i] * (self.input[i] - 1) + w.reach(i)));
        let whole = x.f_conv_transpose2d(&self.weight, self.bias.as_ref(), ints(w.strides), [0, 0], [0, 0], groups, ints(w.dilations))?;
        let whole = match rest {
            [0, 0] => whole,
            [rows, columns] => {
                let padded = whole.f_constant_pad_nd([0, columns as i64, 0, rows as i64])?;
                match &self.bias {
                    Some(bias) => self.fill(padded, &whole.size(), bias)?,
                    None => padded,
                }
            }
        };
        let y = whole.f_narrow(2, w.pads_begin[0] as i64, self.output[0] as i64)?;
        let y = y.f_narrow(3, w.pads_begin[1] as i64, self.output[1] as i64)?;
        Ok(memory::compact(&y)?.f_to_kind(inputs[0].kind())?.into())
    }

    fn keeps(&self) -> Keeps {
        Keeps::default()
    }

    fn adjoint(&self, _saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let [Some(grad)] = &grad_out[..] else { return Ok(vec![None]) };
        let w = &self.op.window;
        // As far as the inputs reach: what lies behind is padding, what the pads cut off has no gradient.
        let border = |i: usize| {
            let reached = (w.strides[i] * (self.input[i] - 1) + w.reach(i)) as i64;
            (w.pads_begin[i] as i64, reached - (w.pads_begin[i] + self.output[i]) as i64)
        };
        let ((top, bottom), (left, right)) = (border(0), border(1));
        let wide = grad.tensor.f_to_kind(self.weight.kind())?.f_constant_pad_nd([left, right, top, bottom])?;
        let none = None::<&Tensor>;
        let back = wide.f_conv2d(&self.weight, none, ints(w.strides), [0, 0], ints(w.dilations), self.op.groups as i64)?;
        Ok(vec![Some(back.f_to_kind(grad.tensor.kind())?.into())])
    }

    fn bias(&self, _saved: &Saved) -> Result<Option<Tensor>> {
        Ok(self.bias.as_ref().map(|bias| bias.f_view([1, -1, 1, 1])).transpose()?)
    }
}

impl ConvTransposeKernel {
    /// The bias where the padded output lies behind what was made.
    fn fill(&self, padded: Tensor, made: &[i64], bias: &Tensor) -> Result<Tensor> {
        let inside = Tensor::f_ones([1, 1, made[2], made[3]], (padded.kind(), padded.device()))?;
        let size = padded.size();
        let outside = inside.f_constant_pad_nd([0, size[3] - made[3], 0, size[2] - made[2]])?.f_neg()?.f_add_scalar(1.0)?;
        Ok(padded.f_add(&outside.f_mul(&bias.f_view([1, -1, 1, 1])?)?)?)
    }
}
