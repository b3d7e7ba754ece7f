//! Other element types.

use half::{bf16, f16};

use super::array::Array;
use super::{ElementType, Folding};

/// Beyond it every f32 is whole.
const WHOLE_SINGLES: f64 = 16_777_216.0;

/// As f32 would hold it. Sizes are made with scales in f32, and 20 * 0.35 is 7 there, below 7 in f64: before a number is made whole it is
/// rounded as whoever runs the file rounds it.
pub fn as_single(x: f64) -> f64 {
    if x.abs() < WHOLE_SINGLES { f64::from(x as f32) } else { x }
}

pub fn cast(f: &Folding) -> Result<Vec<Array>, String> {
    // Numbers of TensorProto.DataType.
    let element = match f.reading.int("to", 0)? {
        1 => ElementType::F32,
        2 => ElementType::U8,
        3 => ElementType::I8,
        6 => ElementType::I32,
        7 => ElementType::I64,
        9 => ElementType::Bool,
        10 => ElementType::F16,
        11 => ElementType::F64,
        16 => ElementType::Bf16,
        other => return Err(format!("casts a constant to data type {other}, which is not supported")),
    };
    to(f, element)
}

pub fn like(f: &Folding) -> Result<Vec<Array>, String> {
    let element = f.array(1)?.element;
    to(f, element)
}

fn to(f: &Folding, element: ElementType) -> Result<Vec<Array>, String> {
    let x = f.array(0)?;
    f.budget.room(&x.shape)?;
    let was_float = x.is_float();
    let convert = |v: f64| match element {
        ElementType::F64 => v,
        ElementType::F32 => f64::from(v as f32),
        ElementType::F16 => f16::from_f64(v).to_f64(),
        ElementType::Bf16 => bf16::from_f64(v).to_f64(),
        ElementType::Bool => f64::from(u8::from(v != 0.0)),
        _ if was_float => as_single(v).trunc(),
        _ => v,
    };
    Ok(vec![Array { values: x.values.iter().map(|&v| convert(v)).collect(), element, shape: x.shape }])
}
