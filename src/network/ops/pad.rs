//! Pad: a border of a constant, of mirrored, repeated or wrapped elements; negative pads cut.
//!
//! Linear but for the constant, which is the bias where it was laid. Adjoint: grad_out taken back to the elements that were copied.

use tch::Tensor;

use crate::error::Result;
use crate::network::op::{self, Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
use crate::network::reading::{self, Reading};

/// What a border is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Border {
    /// One number.
    Constant(f64),
    /// The elements behind the edge, mirrored; the edge itself once.
    Reflect,
    /// The edge.
    Edge,
    /// The elements at the other end.
    Wrap,
}

/// A border around an activation, none along the batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Pad {
    /// For each axis, how much before and behind.
    pub pads: Vec<[i64; 2]>,
    /// Of what.
    pub border: Border,
}

/// Most that is added on a side.
const MOST: i64 = 1 << 20;

impl Pad {
    /// Reads an ONNX Pad: pads and value are attributes before opset 11, inputs from then on.
    pub fn read(reading: &Reading) -> Result<Self, String> {
        let input = reading.activation(0)?;
        let rank = input.len();
        let pads = if reading.opset < 11 { reading.ints("pads")? } else { reading.optional_integers(1)? };
        let pads = pads.ok_or("the pads are missing")?;
        let axes = match reading.optional_integers(3)? {
            Some(axes) => axes.iter().map(|&a| reading::axis(a, rank)).collect::<Result<Vec<_>, _>>()?,
            None => (0..rank).collect(),
        };
        if pads.len() != 2 * axes.len() || pads.iter().any(|pad| pad.abs() > MOST) {
            return Err(format!("the pads are {pads:?} for {} axes", axes.len()));
        }
        let mut each = vec![[0, 0]; rank];
        axes.iter().enumerate().for_each(|(i, &axis)| each[axis] = [pads[i], pads[i + axes.len()]]);
        let border = match reading.text("mode", "constant")?.as_str() {
            "constant" if reading.opset < 11 => Border::Constant(f64::from(reading.float("value", 0.0)?)),
            "constant" => Border::Constant(reading.optional_scalar(2)?.unwrap_or(0.0)),
            "reflect" => Border::Reflect,
            "edge" => Border::Edge,
            "wrap" => Border::Wrap,
            other => return Err(format!("attribute mode is {other:?}; constant, reflect, edge or wrap is expected")),
        };
        if each[0] != [0, 0] {
            return Err("pads the batch (axis 0)".to_owned());
        }
        Ok(Pad { pads: each, border })
    }

    /// For the axes with a border of elements, the element at each place.
    fn sources(&self, input: &[usize]) -> Result<Vec<(usize, Vec<i64>)>, String> {
        let mut sources = Vec::new();
        for (axis, &[before, behind]) in self.pads.iter().enumerate().filter(|(_, pads)| **pads != [0, 0]) {
            let size = input[axis] as i64;
            let at = |place: i64| match self.border {
                Border::Reflect if size > 1 && place > -size && place < 2 * size - 1 => {
                    Ok(if place < 0 { -place } else if place >= size { 2 * (size - 1) - place } else { place })
                }
                Border::Reflect => Err(format!("a border of {before} and {behind} mirrors more than the {size} elements of axis {axis}")),
                Border::Wrap => Ok(place.rem_euclid(size)),
                _ => Ok(place.clamp(0, size - 1)),
            };
            sources.push((axis, (-before..size + behind).map(at).collect::<Result<_, _>>()?));
        }
        Ok(sources)
    }

    /// As libtorch wants them: the last axis first.
    fn libtorch_pads(&self) -> Vec<i64> {
        self.pads.iter().rev().flatten().copied().collect()
    }
}

impl Operator for Pad {
    fn name(&self) -> &'static str {
        "Pad"
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        let input = op::only(inputs)?;
        if input.len() != self.pads.len() {
            return Err(format!("pads for {} axes do not fit {input:?}", self.pads.len()));
        }
        let sizes = input.iter().zip(&self.pads).map(|(&size, &[before, behind])| {
            usize::try_from(size as i64 + before + behind).ok().filter(|&size| size > 0).ok_or_else(|| format!("the pads {:?} cut all of {input:?} off", self.pads))
        });
        let shape = sizes.collect::<Result<Vec<_>, _>>()?;
        if !matches!(self.border, Border::Constant(_)) {
            self.sources(input)?;
        }
        Ok(vec![shape])
    }

    fn spatial(&self) -> Spatial {
        Spatial::Keeps
    }

    fn has_bias(&self) -> bool {
        matches!(self.border, Border::Constant(value) if value != 0.0) && self.pads.iter().flatten().any(|&pad| pad > 0)
    }

    fn kernel(&self, place: Place, inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        let input: Vec<i64> = inputs[0].iter().map(|&size| size as i64).collect();
        let (mut sources, mut constant) = (Vec::new(), None);
        match self.border {
            Border::Constant(value) if self.has_bias() => {
                let inside = Tensor::f_zeros(input.as_slice(), (place.kind, place.device))?;
                constant = Some(inside.f_pad(self.libtorch_pads(), "constant", value)?);
            }
            Border::Constant(_) => {}
            _ => {
                for (axis, places) in self.sources(inputs[0]).map_err(crate::error::Error::data)? {
                    sources.push((axis as i64, Tensor::f_from_slice(&places)?.f_to_device(place.device)?, input[axis]));
                }
            }
        }
        Ok(Box::new(PadKernel { pads: self.libtorch_pads(), sources, constant, copies: !matches!(self.border, Border::Constant(_)) }))
    }
}

struct PadKernel {
    pads: Vec<i64>,
    /// Axis, the element at each place, and the axis's size before.
    sources: Vec<(i64, Tensor, i64)>,
    /// The border, zero inside.
    constant: Option<Tensor>,
    copies: bool,
}

impl Kernel for PadKernel {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        if self.copies {
            let mut y = inputs[0].f_contiguous()?;
            for (axis, places, _) in &self.sources {
                y = y.f_index_select(*axis, places)?;
            }
            return Ok(y.into());
        }
        let padded = inputs[0].f_constant_pad_nd(self.pads.as_slice())?;
        Ok(match &self.constant {
            Some(constant) => padded.f_add(constant)?,
            None => padded,
        }
        .into())
    }

    fn keeps(&self) -> Keeps {
        Keeps::default()
    }

    fn adjoint(&self, _saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let [Some(grad)] = &grad_out[..] else { return Ok(vec![None]) };
        if !self.copies {
            let back: Vec<i64> = self.pads.iter().map(|pad| -pad).collect();
            return Ok(vec![Some(grad.tensor.f_constant_pad_nd(back)?.into())]);
        }
        let mut back = grad.tensor.f_contiguous()?;
        for (axis, places, size) in self.sources.iter().rev() {
            let mut shape = back.size();
            shape[*axis as usize] = *size;
            back = Tensor::f_zeros(shape, (back.kind(), back.device()))?.f_index_add(*axis, places, &back)?;
        }
        Ok(vec![Some(Gradient { tensor: back, shared: grad.shared || self.sources.is_empty() })])
    }

    fn bias(&self, _saved: &Saved) -> Result<Option<Tensor>> {
        Ok(self.constant.as_ref().map(Tensor::shallow_clone))
    }
}
