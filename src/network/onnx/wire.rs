//! A look at a message's fields before it is decoded: how many length-delimited ones there are. Those are what grows when decoded (two
//! bytes of file make a string of 24); packed numbers grow at most eightfold and need no count.

use bytes::Bytes;
use prost::Message;

use crate::error::{Error, Result};

/// Decodes a message that has at most `max_fields` length-delimited fields at its top level. `what` opens the sentence of an error.
pub fn decode<M: Message + Default>(bytes: &Bytes, max_fields: usize, what: impl Fn() -> String) -> Result<M> {
    check(bytes, max_fields).map_err(|fault| Error::data(format!("{}: {fault}", what())))?;
    M::decode(bytes.clone()).map_err(|fault| Error::data(format!("{}: {fault}", what())))
}

fn check(mut rest: &[u8], max_fields: usize) -> Result<(), String> {
    let mut fields = 0;
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        let skip = match key & 7 {
            0 => {
                varint(&mut rest)?;
                0
            }
            1 => 8,
            2 => {
                fields += 1;
                if fields > max_fields {
                    return Err(format!("more than {max_fields} fields, which is beyond the limit"));
                }
                varint(&mut rest)?
            }
            5 => 4,
            other => return Err(format!("wire type {other} is not used by ONNX; the file is damaged or no ONNX file")),
        };
        let skip = usize::try_from(skip).ok().filter(|&n| n <= rest.len());
        let skip = skip.ok_or_else(|| "a field is longer than what is left; the file is truncated or damaged".to_owned())?;
        rest = &rest[skip..];
    }
    Ok(())
}

fn varint(rest: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, tail) = rest.split_first().ok_or("the file ends within a number; it is truncated")?;
        *rest = tail;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err("a number has more than ten bytes; the file is damaged or no ONNX file".to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::network::onnx::proto::{GraphProto, ModelProto};

    fn decode_model(bytes: &'static [u8], max_fields: usize) -> Result<ModelProto> {
        decode(&Bytes::from_static(bytes), max_fields, || "model".to_owned())
    }

    #[test]
    fn claims_beyond_the_end_are_refused() {
        for bytes in [&b"\x3a\xff\xff\xff\xff\x0f"[..], b"\x3a\x05ab", b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x08", b"\x09abc"]
        {
            assert!(decode_model(bytes, 10).is_err(), "{bytes:?}");
        }
        let endless = b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
        assert!(decode_model(endless, 10).unwrap_err().to_string().contains("ten bytes"));
    }

    #[test]
    fn wrong_wire_types_are_refused() {
        assert!(decode_model(b"\x38\x05", 10).unwrap_err().to_string().starts_with("model: "));
        assert!(decode_model(b"\x0b\x0c", 10).unwrap_err().to_string().contains("wire type 3"));
        assert!(decode_model(b"\x0f", 10).is_err());
    }

    #[test]
    fn fields_are_counted_before_they_are_decoded() {
        let bytes = Bytes::from([0x0a, 0x00].repeat(101));
        assert_eq!(decode::<GraphProto>(&bytes, 101, || "graph".to_owned()).unwrap().node.len(), 101);
        let error = decode::<GraphProto>(&bytes, 100, || "graph".to_owned()).unwrap_err();
        assert_eq!(error.to_string(), "graph: more than 100 fields, which is beyond the limit");
    }
}
