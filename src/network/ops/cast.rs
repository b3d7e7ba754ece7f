//! Cast: nothing, between types of floating-point numbers and from truth to them; a network computes in one type. To truth it is a function
//! that jumps.

use super::Read;
use super::steps::{Jumping, Steps};
use crate::network::reading::Reading;

/// Numbers of TensorProto.DataType: FLOAT, FLOAT16, DOUBLE, BFLOAT16.
const FLOATS: [i64; 4] = [1, 10, 11, 16];

/// BOOL.
const TRUTH: i64 = 9;

/// Reads an ONNX Cast.
pub fn read(reading: &Reading) -> Result<Read, String> {
    reading.activation(0)?;
    match reading.int("to", 0)? {
        to if FLOATS.contains(&to) => Ok(Read::Same),
        TRUTH => Steps::read(reading, Jumping::Truth),
        to => Err(format!("makes whole numbers (data type {to}) of an activation, which has no derivative to explain")),
    }
}

/// Reads an ONNX CastLike of a constant's type.
pub fn read_like(reading: &Reading) -> Result<Read, String> {
    reading.activation(0)?;
    match reading.optional_weights(1)? {
        Some(_) => Ok(Read::Same),
        None => Err("input 1 is missing".to_owned()),
    }
}
