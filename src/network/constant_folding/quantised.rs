//! Integers that stand for floats: real = (integer - zero point) * scale.

use super::array::{Array, Walk};
use super::{ElementType, Folding};
use crate::network::reading::{self, Operand, Reading};

/// The first and last integer of a type that values are quantised to.
fn levels(element: ElementType) -> Option<(f64, f64)> {
    match element {
        ElementType::I8 => Some((-128.0, 127.0)),
        ElementType::U8 => Some((0.0, 255.0)),
        ElementType::I32 => Some((f64::from(i32::MIN), f64::from(i32::MAX))),
        _ => None,
    }
}

/// Scale and zero point of a QuantizeLinear or DequantizeLinear of one number each.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantisation {
    /// The step between neighbouring integers.
    pub scale: f64,
    /// The integer that stands for 0.
    pub zero_point: f64,
    /// First and last integer.
    pub levels: (f64, f64),
}

impl Quantisation {
    /// Reads them from inputs 1 and 2. The error is a sentence without the node's name.
    pub fn read(reading: &Reading) -> Result<Self, String> {
        let scale = reading.weights(1)?;
        let scale = match scale.floats().unwrap_or_default()[..] {
            [scale] if scale.is_finite() && scale > 0.0 => scale,
            [scale] => return Err(format!("the scale is {scale}")),
            _ => return Err(format!("the scale has shape {:?}; an activation is quantised with one scale", scale.shape)),
        };
        let (zero_point, element) = match reading.operand(2) {
            // uint8 is the type of a zero point that is left out; output_dtype came with opset 21.
            Operand::Missing => match reading.int("output_dtype", 0)? {
                0 | 2 => (0.0, ElementType::U8),
                3 => (0.0, ElementType::I8),
                other => return Err(format!("data type {other} of the quantised values is not supported")),
            },
            Operand::Constant(constant) => {
                let array = Array::of(constant);
                (array.single().ok_or("the zero point is not one number")?, array.element)
            }
            _ => return Err("the zero point is not a constant".to_owned()),
        };
        let levels = levels(element).ok_or("the zero point is neither int8, uint8 nor int32")?;
        Ok(Quantisation { scale, zero_point, levels })
    }

    /// The range of floats beyond which quantisation saturates.
    pub fn range(&self) -> (f64, f64) {
        let real = |level: f64| (level - self.zero_point) * self.scale;
        (real(self.levels.0), real(self.levels.1))
    }
}

/// Scale and zero point broadcast to the input: steps in `shape`. One number each, or one for each place on `axis`.
fn along(f: &Folding, x: &Array, of: &Array) -> Result<Vec<isize>, String> {
    if f.reading.int("block_size", 0)? != 0 {
        return Err("quantised in blocks, which is not supported; quantise by tensor or by channel".to_owned());
    }
    let rank = x.shape.len();
    let mut steps = vec![0; rank];
    match of.shape[..] {
        [] | [1] => {}
        [count] => {
            let axis = reading::axis(f.reading.int("axis", 1)?, rank)?;
            if x.shape[axis] != count {
                return Err(format!("{count} scales for {} places on axis {axis}", x.shape[axis]));
            }
            steps[axis] = 1;
        }
        _ => return Err(format!("a scale or zero point of shape {:?}", of.shape)),
    }
    Ok(steps)
}

/// Every element with its scale and zero point.
fn rescaled(f: &Folding, element: ElementType, zero: &Array, of: impl Fn(f64, f64, f64) -> f64) -> Result<Vec<Array>, String> {
    let (x, scale) = (f.array(0)?, f.array(1)?);
    let (scales, zeros) = (along(f, &x, &scale)?, along(f, &x, zero)?);
    f.budget.room(&x.shape)?;
    let places = Walk::new(&x.shape, 0, &scales).zip(Walk::new(&x.shape, 0, &zeros));
    let values = x.values.iter().zip(places).map(|(&v, (s, z))| of(v, scale.values[s], zero.values[z])).collect();
    Ok(vec![Array { values, element, shape: x.shape }])
}

fn zero_point(f: &Folding) -> Result<Array, String> {
    Ok(f.optional(2)?.unwrap_or(Array { shape: vec![], values: vec![0.0], element: ElementType::U8 }))
}

pub fn dequantize(f: &Folding) -> Result<Vec<Array>, String> {
    let zero = zero_point(f)?;
    rescaled(f, ElementType::F64, &zero, |v, scale, zero| (v - zero) * scale)
}

pub fn quantize(f: &Folding) -> Result<Vec<Array>, String> {
    let zero = zero_point(f)?;
    let (low, high) = levels(zero.element).ok_or("the zero point is neither int8, uint8 nor int32")?;
    rescaled(f, zero.element, &zero, |v, scale, zero| ((v / scale).round_ties_even() + zero).clamp(low, high))
}
