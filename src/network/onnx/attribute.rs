//! Attributes: `AttributeProto` to [`Attribute`].

use std::collections::HashMap;

use bytes::Bytes;

use super::proto::{AttributeProto, TensorProto};
use super::tensor::ConstantReader;
use super::wire;
use crate::error::{Error, Result};
use crate::network::graph::Attribute;

/// Texts that one attribute may hold.
const MAX_TEXTS: usize = 1 << 16;

/// `AttributeProto`, of which only the names.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AttributeName {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "21")]
    pub ref_attr_name: String,
}

/// Reads attributes; one that many nodes share (a function's body put in many times) is read once.
#[derive(Debug, Default)]
pub struct AttributeReader {
    shared: Option<HashMap<(*const u8, usize), Attribute>>,
}

impl AttributeReader {
    /// `shared`: whether nodes may share an attribute's bytes.
    pub fn new(shared: bool) -> Self {
        Self { shared: shared.then(HashMap::new) }
    }

    /// The attribute, counted against the reader's limit of elements. Errors do not name it; the caller does.
    pub fn read(&mut self, bytes: &Bytes, constants: &mut ConstantReader) -> Result<Attribute> {
        // All of them are slices of the one file, which outlives this reader: the place tells them apart.
        let place = (bytes.as_ptr(), bytes.len());
        if let Some(known) = self.shared.as_ref().and_then(|shared| shared.get(&place)) {
            constants.charge(match known {
                Attribute::Text(text) => text.len(),
                Attribute::Ints(v) => v.len(),
                Attribute::Floats(v) => v.len(),
                Attribute::Texts(v) => v.iter().map(|text| text.len() + 1).sum(),
                Attribute::Int(_) | Attribute::Float(_) | Attribute::Tensor(_) | Attribute::Other(_) => 1,
            })?;
            return Ok(known.clone());
        }
        let attribute = convert(bytes, constants)?;
        if let Some(shared) = &mut self.shared {
            shared.insert(place, attribute.clone());
        }
        Ok(attribute)
    }
}

fn convert(bytes: &Bytes, constants: &mut ConstantReader) -> Result<Attribute> {
    let proto: AttributeProto = wire::decode(bytes, MAX_TEXTS, || "its message".to_owned())?;
    // Files of the first IR versions leave the type out; the field that is there tells it.
    let kind = match proto.r#type {
        0 if proto.f.is_some() => 1,
        0 if proto.i.is_some() => 2,
        0 if proto.s.is_some() => 3,
        0 if proto.t.is_some() => 4,
        0 if proto.g.is_some() => 5,
        0 if !proto.floats.is_empty() => 6,
        0 if !proto.ints.is_empty() => 7,
        0 if !proto.strings.is_empty() => 8,
        kind => kind,
    };
    Ok(match kind {
        1 => Attribute::Float(proto.f.unwrap_or_default()),
        2 => Attribute::Int(proto.i.unwrap_or_default()),
        3 => Attribute::Text(text(&proto.s.unwrap_or_default())?),
        4 => {
            let tensor = proto.t.ok_or_else(|| Error::data("it says that it is a tensor and has none"))?;
            let tensor: TensorProto = wire::decode(&tensor, usize::MAX, || "its tensor".to_owned())?;
            Attribute::Tensor(constants.read(&tensor)?)
        }
        6 => Attribute::Floats(proto.floats),
        7 => Attribute::Ints(proto.ints),
        8 => Attribute::Texts(proto.strings.iter().map(text).collect::<Result<_>>()?),
        5 => Attribute::Other("a subgraph"),
        9 => Attribute::Other("tensors"),
        10 => Attribute::Other("subgraphs"),
        11 | 12 => Attribute::Other("a sparse tensor"),
        13 | 14 => Attribute::Other("a type"),
        0 => return Err(Error::data("it has neither a type nor a value")),
        other => return Err(Error::data(format!("attribute type {other} is unknown"))),
    })
}

fn text(bytes: &Bytes) -> Result<String> {
    let text = std::str::from_utf8(bytes).map_err(|e| Error::data(format!("its text is not UTF-8: {e}")).with_source(e))?;
    Ok(text.to_owned())
}
