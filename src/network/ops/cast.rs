//! Cast: nothing, between types of floating-point numbers; a network computes in one. No node of ours.

use super::Read;
use crate::network::reading::Reading;

/// Numbers of TensorProto.DataType: FLOAT, FLOAT16, DOUBLE, BFLOAT16.
const FLOATS: [i64; 4] = [1, 10, 11, 16];

/// Reads an ONNX Cast.
pub fn read(reading: &Reading) -> Result<Read, String> {
    reading.activation(0)?;
    match reading.int("to", 0)? {
        to if FLOATS.contains(&to) => Ok(Read::Same),
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
