//! Reads ONNX files into a [`Graph`]. Files may be broken or hostile: whatever they hold, the answer is a graph or an error that names
//! the place, and memory stays within a small multiple of the file's size.

mod assemble;
mod attribute;
mod external;
mod flatten;
mod order;
mod proto;
mod tensor;
#[cfg(test)]
mod tests;
mod wire;

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::network::graph::Graph;

/// Versions of ONNX's own operator set that are read.
pub const OPSETS: std::ops::RangeInclusive<i64> = 7..=25;

/// How much a file may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Size of the model's file.
    pub max_file_bytes: u64,
    /// What is read from external data files, in all.
    pub max_external_bytes: u64,
    /// Nodes, calls of functions and nodes in functions counted too.
    pub max_nodes: usize,
    /// Elements of constants, in all.
    pub max_elements: u64,
}

impl Default for Limits {
    /// A file of 2 GiB (protobuf's own limit), 8 GiB of external data, a hundred thousand nodes, 2^31 elements.
    fn default() -> Self {
        Self { max_file_bytes: 2 << 30, max_external_bytes: 8 << 30, max_nodes: 100_000, max_elements: 1 << 31 }
    }
}

/// Reads a file; external data may lie in its folder and below. An absent file is [`Kind::NoInput`](crate::error::Kind::NoInput), all else
/// [`Kind::Data`](crate::error::Kind::Data).
pub fn read_file(path: &Path, limits: &Limits) -> Result<Graph> {
    let shown = path.display();
    let unreadable = |e: std::io::Error| match e.kind() {
        ErrorKind::NotFound => Error::no_input(format!("{shown}: no such file")).with_source(e),
        _ => Error::data(format!("{shown}: cannot be read: {e}")).with_source(e),
    };
    // Asked before it is opened: opening a pipe would wait for its writer.
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(Error::data(format!("{shown}: not a regular file")));
    }
    let mut bytes = Vec::new();
    if metadata.len() <= limits.max_file_bytes {
        bytes.reserve_exact(usize::try_from(metadata.len()).unwrap_or(0));
        File::open(path).map_err(unreadable)?.take(limits.max_file_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    }
    let size = metadata.len().max(bytes.len() as u64);
    if size > limits.max_file_bytes {
        return Err(Error::data(format!("{shown}: {size} bytes; at most {} are read", limits.max_file_bytes)));
    }
    let folder = path.parent().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    read_bytes(bytes, folder, limits).map_err(|error| error.at(shown))
}

/// Reads a file's contents. External data may lie in `folder` and below; without one, it is refused.
pub fn read_bytes(bytes: impl Into<Bytes>, folder: Option<&Path>, limits: &Limits) -> Result<Graph> {
    assemble::graph(bytes.into(), folder, limits)
}
