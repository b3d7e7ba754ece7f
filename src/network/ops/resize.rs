//! Resize and Upsample of rows and columns: nearest, linear and cubic, with ONNX's coordinate modes.
//!
//! Linear and separable: y = R x C^T with a matrix of weights for each axis, made at load. The bias is zero. Adjoint: R^T grad_out C.

use tch::{Kind, Tensor};

use crate::error::Result;
use crate::network::memory;
use crate::network::op::{self, Forward, Gradient, Keeps, Kernel, Operator, Place, Saved, Shape, Spatial};
use crate::network::ops::resize_axis::{Coordinates, Method, Nearest, weights};
use crate::network::reading::{Operand, Reading};

/// Rows and columns brought to another size.
#[derive(Debug, Clone, PartialEq)]
pub struct Resize {
    /// Output sizes: rows, columns.
    pub size: [usize; 2],
    /// Output over input positions, as the file says.
    pub scale: [f64; 2],
    /// Which input an output lies at.
    pub coordinates: Coordinates,
    /// How the inputs around are weighed.
    pub method: Method,
}

/// The largest factor; a file that says more is at fault.
const MOST: f64 = 4096.0;

impl Resize {
    /// Reads an ONNX Resize.
    pub fn read(reading: &Reading) -> Result<Self, String> {
        let input = reading.activation(0)?;
        if reading.opset < 11 {
            let scales = reading.weights(1)?.floats().unwrap_or_default();
            return Self::upsample(reading, input, scales);
        }
        for (name, supported) in [("antialias", 0), ("extrapolation_value", 0)] {
            if name == "antialias" && reading.int(name, supported)? != 0 {
                return Err("antialias is not supported".to_owned());
            }
        }
        let policy = reading.text("keep_aspect_ratio_policy", "stretch")?;
        if policy != "stretch" {
            return Err(format!("attribute keep_aspect_ratio_policy is {policy:?}; only stretch is supported"));
        }
        let coordinates = match reading.text("coordinate_transformation_mode", "half_pixel")?.as_str() {
            "half_pixel" => Coordinates::HalfPixel,
            "pytorch_half_pixel" => Coordinates::PytorchHalfPixel,
            "align_corners" => Coordinates::AlignCorners,
            "asymmetric" => Coordinates::Asymmetric,
            "half_pixel_symmetric" => Coordinates::HalfPixelSymmetric,
            other => return Err(format!("attribute coordinate_transformation_mode {other:?} is not supported")),
        };
        let method = match reading.text("mode", "nearest")?.as_str() {
            "nearest" => Method::Nearest(match reading.text("nearest_mode", "round_prefer_floor")?.as_str() {
                "round_prefer_floor" => Nearest::RoundPreferFloor,
                "round_prefer_ceil" => Nearest::RoundPreferCeil,
                "floor" => Nearest::Floor,
                "ceil" => Nearest::Ceil,
                other => return Err(format!("attribute nearest_mode is {other:?}")),
            }),
            "linear" => Method::Linear,
            "cubic" => Method::Cubic {
                a: f64::from(reading.float("cubic_coeff_a", -0.75)?),
                exclude_outside: reading.int("exclude_outside", 0)? != 0,
            },
            other => return Err(format!("attribute mode is {other:?}; nearest, linear or cubic is expected")),
        };
        if method == Method::Linear && reading.int("exclude_outside", 0)? != 0 {
            return Err("exclude_outside with linear weights is not supported".to_owned());
        }
        let rank = input.len();
        let axes = reading.ints("axes")?.unwrap_or_else(|| (0..rank as i64).collect());
        let axes: Vec<usize> = axes.iter().map(|&a| crate::network::reading::axis(a, rank)).collect::<Result<_, _>>()?;
        let sizes = match reading.operand(3) {
            // A batch that the size is told for is the batch that there is.
            Operand::Known(known) => Some(known.values.iter().map(|dim| dim.fixed + dim.per_batch).collect()),
            _ => reading.optional_integers(3)?,
        };
        let mut whole = vec![1.0; rank];
        let mut target = input.clone();
        match (sizes.filter(|sizes| !sizes.is_empty()), reading.optional_weights(2)?) {
            (Some(sizes), _) if sizes.len() == axes.len() => {
                for (&axis, &size) in axes.iter().zip(&sizes) {
                    let size = usize::try_from(size).ok().filter(|&size| size > 0).ok_or_else(|| format!("the sizes are {sizes:?}"))?;
                    if axis == 0 {
                        continue;
                    }
                    (target[axis], whole[axis]) = (size, size as f64 / input[axis] as f64);
                }
            }
            (None, Some(scales)) if scales.elements.len() == axes.len() => {
                for (&axis, scale) in axes.iter().zip(scales.floats().unwrap_or_default()) {
                    (target[axis], whole[axis]) = (scaled(input[axis], scale)?, scale);
                }
            }
            _ => return Err(format!("neither sizes nor scales tell each of the axes {axes:?}")),
        }
        Self::of(input, &target, &whole, coordinates, method)
    }

    /// Reads an ONNX Upsample: positions divided by the scale, rounded down.
    pub fn read_upsample(reading: &Reading) -> Result<Self, String> {
        let input = reading.activation(0)?;
        let scales = match reading.optional_weights(1)? {
            Some(scales) => scales.floats().unwrap_or_default(),
            None => match reading.node.attributes.get("scales") {
                Some(crate::network::graph::Attribute::Floats(values)) => values.iter().map(|&v| f64::from(v)).collect(),
                _ => return Err("the scales are missing".to_owned()),
            },
        };
        Self::upsample(reading, input, scales)
    }

    fn upsample(reading: &Reading, input: &[usize], scales: Vec<f64>) -> Result<Self, String> {
        let method = match reading.text("mode", "nearest")?.as_str() {
            "nearest" => Method::Nearest(Nearest::Floor),
            "linear" | "bilinear" => Method::Linear,
            other => return Err(format!("attribute mode is {other:?}; nearest or linear is expected")),
        };
        if scales.len() != input.len() {
            return Err(format!("{} scales are given for {} axes", scales.len(), input.len()));
        }
        let target: Vec<usize> = input.iter().zip(&scales).map(|(&size, &scale)| scaled(size, scale)).collect::<Result<_, _>>()?;
        Self::of(input, &target, &scales, Coordinates::Asymmetric, method)
    }

    fn of(input: &[usize], target: &[usize], scales: &[f64], coordinates: Coordinates, method: Method) -> Result<Self, String> {
        let ([n, c, ..], [m, d, rows, columns]) = (input, target) else {
            return Err(format!("the input {input:?} has not four axes"));
        };
        if (n, c) != (m, d) {
            return Err(format!("resizes {input:?} to {target:?}; only rows and columns can be resized"));
        }
        Ok(Resize { size: [*rows, *columns], scale: [scales[2], scales[3]], coordinates, method })
    }
}

fn scaled(size: usize, scale: f64) -> Result<usize, String> {
    if !(scale > 0.0 && scale <= MOST) {
        return Err(format!("a scale is {scale}"));
    }
    match (size as f64 * scale).floor() as usize {
        0 => Err(format!("a scale of {scale} leaves nothing of {size}")),
        size => Ok(size),
    }
}

impl Operator for Resize {
    fn name(&self) -> &'static str {
        "Resize"
    }

    fn shapes(&self, inputs: &[&[usize]]) -> Result<Vec<Shape>, String> {
        let &[n, c, rows, columns] = op::only(inputs)? else { return Err("an input (N, C, H, W) is expected".to_owned()) };
        if self.size[0].max(rows) * self.size[1].max(columns) > 1 << 28 {
            return Err(format!("the output {:?} is too large", self.size));
        }
        Ok(vec![vec![n, c, self.size[0], self.size[1]]])
    }

    fn spatial(&self) -> Spatial {
        Spatial::Keeps
    }

    fn has_bias(&self) -> bool {
        false
    }

    fn kernel(&self, place: Place, inputs: &[&[usize]]) -> Result<Box<dyn Kernel>> {
        let kind = if place.kind == Kind::Double { Kind::Double } else { Kind::Float };
        let matrix = |i: usize| -> Result<Tensor> {
            let (from, to) = (inputs[0][2 + i], self.size[i]);
            let values = weights(from, to, self.scale[i], self.coordinates, self.method);
            Ok(Tensor::f_from_slice(&values)?.f_view([to as i64, from as i64])?.f_to_device(place.device)?.f_to_kind(kind)?)
        };
        Ok(Box::new(ResizeKernel { rows: matrix(0)?, columns: matrix(1)?, last: place.channels_last() }))
    }
}

struct ResizeKernel {
    /// (output, input) each.
    rows: Tensor,
    columns: Tensor,
    last: bool,
}

impl ResizeKernel {
    /// left x right^T for each channel.
    fn between(&self, left: &Tensor, x: &Tensor, right: &Tensor) -> Result<Tensor> {
        let y = left.f_matmul(&x.f_to_kind(left.kind())?.f_matmul(&right.f_tr()?)?)?.f_to_kind(x.kind())?;
        if self.last { memory::channels_last(&y) } else { Ok(y) }
    }
}

impl Kernel for ResizeKernel {
    fn forward(&self, inputs: &[&Tensor]) -> Result<Forward> {
        Ok(self.between(&self.rows, inputs[0], &self.columns)?.into())
    }

    fn keeps(&self) -> Keeps {
        Keeps::default()
    }

    fn adjoint(&self, _saved: &Saved, grad_out: Vec<Option<Gradient>>) -> Result<Vec<Option<Gradient>>> {
        let [Some(grad)] = &grad_out[..] else { return Ok(vec![None]) };
        Ok(vec![Some(self.between(&self.rows.f_tr()?, &grad.tensor, &self.columns.f_tr()?)?.into())])
    }

    fn bias(&self, _saved: &Saved) -> Result<Option<Tensor>> {
        Ok(None)
    }
}
