//! Dropout: nothing, in a network that is not being trained. No node of ours.

use super::Read;
use crate::network::reading::Reading;

/// Reads an ONNX Dropout; from opset 12 on its third input says whether it is on.
pub fn read(reading: &Reading) -> Result<Read, String> {
    reading.activation(0)?;
    if reading.optional_integers(2)?.is_some_and(|on| on.iter().any(|&on| on != 0)) {
        return Err("training_mode is on; export the network in evaluation mode".to_owned());
    }
    Ok(Read::Same)
}
