//! Constants: `TensorProto` to [`Constant`], every claim checked before memory is taken.

use std::sync::Arc;

use bytes::Bytes;
use half::{bf16, f16};

use super::external::ExternalData;
use super::proto::TensorProto;
use crate::error::{Error, Result};
use crate::network::graph::{Constant, ElementType, Elements};

/// More axes than any operator has.
const MAX_RANK: usize = 32;

/// Reads constants, so many elements in all.
#[derive(Debug)]
pub struct ConstantReader {
    external: ExternalData,
    left_elements: u64,
}

impl ConstantReader {
    /// At most `max_elements` elements over all constants and attributes.
    pub fn new(external: ExternalData, max_elements: u64) -> Self {
        Self { external, left_elements: max_elements }
    }

    /// Counts `elements` against the limit.
    pub fn charge(&mut self, elements: usize) -> Result<()> {
        self.left_elements = self
            .left_elements
            .checked_sub(elements as u64)
            .ok_or_else(|| Error::data("more elements of constants than the limit allows"))?;
        Ok(())
    }

    /// The constant. Errors do not name it; the caller does.
    pub fn read(&mut self, tensor: &TensorProto) -> Result<Constant> {
        let element = element_type(tensor.data_type)?;
        let (shape, count) = shape_of(&tensor.dims)?;
        if tensor.segment.is_some() {
            return Err(Error::data("a tensor in segments is not supported"));
        }
        let bytes_each = width_bytes(element);
        let need_bytes = count.checked_mul(bytes_each).ok_or_else(|| too_large(&shape))? as u64;
        let raw = match tensor.data_location {
            0 => tensor.raw_data.clone(),
            1 if tensor.raw_data.as_ref().is_some_and(|raw| !raw.is_empty()) => {
                return Err(Error::data("external data and raw_data at once"));
            }
            1 => Some(self.external.read(tensor, need_bytes)?),
            other => return Err(Error::data(format!("data location {other} is unknown"))),
        };
        let typed = tensor.float_data.len() + tensor.double_data.len() + tensor.int32_data.len() + tensor.int64_data.len();
        let elements = match raw {
            // An empty raw_data beside a typed field is an absent one.
            Some(raw) if typed == 0 || !raw.is_empty() => {
                if typed > 0 {
                    return Err(Error::data("raw_data and a typed data field at once"));
                }
                if raw.len() as u64 != need_bytes {
                    return Err(Error::data(format!("{} bytes of raw data, shape {shape:?} of {element:?} wants {need_bytes}", raw.len())));
                }
                self.charge(count)?;
                from_raw(element, &raw)
            }
            _ => {
                let (field, found) = match element {
                    ElementType::F32 => ("float_data", tensor.float_data.len()),
                    ElementType::F64 => ("double_data", tensor.double_data.len()),
                    ElementType::I64 => ("int64_data", tensor.int64_data.len()),
                    _ => ("int32_data", tensor.int32_data.len()),
                };
                if found != count {
                    return Err(Error::data(format!("{found} elements in {field}, shape {shape:?} wants {count}")));
                }
                if typed != found {
                    return Err(Error::data(format!("data of type {element:?} in fields other than {field}")));
                }
                self.charge(count)?;
                from_typed(element, tensor)?
            }
        };
        Ok(Constant { shape, elements })
    }
}

/// The element type of `TensorProto.DataType`; types that no network of ours computes with are refused by name.
pub fn element_type(data_type: i32) -> Result<ElementType> {
    const NAMES: [&str; 24] = [
        "UNDEFINED",
        "FLOAT",
        "UINT8",
        "INT8",
        "UINT16",
        "INT16",
        "INT32",
        "INT64",
        "STRING",
        "BOOL",
        "FLOAT16",
        "DOUBLE",
        "UINT32",
        "UINT64",
        "COMPLEX64",
        "COMPLEX128",
        "BFLOAT16",
        "FLOAT8E4M3FN",
        "FLOAT8E4M3FNUZ",
        "FLOAT8E5M2",
        "FLOAT8E5M2FNUZ",
        "UINT4",
        "INT4",
        "FLOAT4E2M1",
    ];
    Ok(match data_type {
        1 => ElementType::F32,
        2 => ElementType::U8,
        3 => ElementType::I8,
        6 => ElementType::I32,
        7 => ElementType::I64,
        9 => ElementType::Bool,
        10 => ElementType::F16,
        11 => ElementType::F64,
        16 => ElementType::Bf16,
        other => {
            let name = usize::try_from(other).ok().and_then(|i| NAMES.get(i)).unwrap_or(&"unknown");
            return Err(Error::data(format!("data type {name} ({other}) is not supported")));
        }
    })
}

/// Sizes and their product, neither negative nor beyond what memory can address.
fn shape_of(dims: &[i64]) -> Result<(Vec<usize>, usize)> {
    if dims.len() > MAX_RANK {
        return Err(Error::data(format!("{} axes; at most {MAX_RANK} are supported", dims.len())));
    }
    let mut shape = Vec::with_capacity(dims.len());
    for &dim in dims {
        shape.push(usize::try_from(dim).map_err(|_| Error::data(format!("negative size {dim} in shape {dims:?}")))?);
    }
    // A zero anywhere makes an empty tensor; the product of the others still has to be sane, so zeros count as one here.
    let product = shape.iter().try_fold(1_usize, |product, &dim| product.checked_mul(dim.max(1))).ok_or_else(|| too_large(&shape))?;
    let count = if shape.contains(&0) { 0 } else { product };
    Ok((shape, count))
}

fn too_large(shape: &[usize]) -> Error {
    Error::data(format!("shape {shape:?} has more elements than memory can address"))
}

fn width_bytes(element: ElementType) -> usize {
    match element {
        ElementType::F64 | ElementType::I64 => 8,
        ElementType::F32 | ElementType::I32 => 4,
        ElementType::F16 | ElementType::Bf16 => 2,
        ElementType::I8 | ElementType::U8 | ElementType::Bool => 1,
    }
}

/// Little-endian elements, as the specification has it.
fn each<const WIDTH: usize, T>(raw: &Bytes, from_le: impl Fn([u8; WIDTH]) -> T) -> Arc<[T]> {
    raw.as_chunks::<WIDTH>().0.iter().map(|&chunk| from_le(chunk)).collect()
}

fn from_raw(element: ElementType, raw: &Bytes) -> Elements {
    match element {
        ElementType::F32 => Elements::F32(each(raw, f32::from_le_bytes)),
        ElementType::F64 => Elements::F64(each(raw, f64::from_le_bytes)),
        ElementType::F16 => Elements::F32(each(raw, |b| f16::from_le_bytes(b).to_f32())),
        ElementType::Bf16 => Elements::F32(each(raw, |b| bf16::from_le_bytes(b).to_f32())),
        ElementType::I8 => Elements::I8(each(raw, i8::from_le_bytes)),
        ElementType::U8 => Elements::U8(each(raw, u8::from_le_bytes)),
        ElementType::I32 => Elements::I32(each(raw, i32::from_le_bytes)),
        ElementType::I64 => Elements::I64(each(raw, i64::from_le_bytes)),
        ElementType::Bool => Elements::Bool(each(raw, |[byte]: [u8; 1]| byte != 0)),
    }
}

fn from_typed(element: ElementType, tensor: &TensorProto) -> Result<Elements> {
    let narrow = &tensor.int32_data;
    Ok(match element {
        ElementType::F32 => Elements::F32(tensor.float_data.as_slice().into()),
        ElementType::F64 => Elements::F64(tensor.double_data.as_slice().into()),
        ElementType::I64 => Elements::I64(tensor.int64_data.as_slice().into()),
        ElementType::I32 => Elements::I32(narrow.as_slice().into()),
        // f16 and bf16 lie in int32_data as their 16 bits.
        ElementType::F16 => Elements::F32(narrowed::<u16>(narrow)?.into_iter().map(|bits| f16::from_bits(bits).to_f32()).collect()),
        ElementType::Bf16 => Elements::F32(narrowed::<u16>(narrow)?.into_iter().map(|bits| bf16::from_bits(bits).to_f32()).collect()),
        ElementType::I8 => Elements::I8(narrowed(narrow)?.into()),
        ElementType::U8 => Elements::U8(narrowed(narrow)?.into()),
        ElementType::Bool => Elements::Bool(narrow.iter().map(|&x| x != 0).collect()),
    })
}

fn narrowed<T: TryFrom<i32>>(values: &[i32]) -> Result<Vec<T>> {
    let narrow = |&x: &i32| T::try_from(x).map_err(|_| Error::data(format!("element {x} is out of its type's range")));
    values.iter().map(narrow).collect()
}
