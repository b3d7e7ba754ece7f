//! Tensor data that lies in a file of its own beside the model. Nothing outside the model's folder is ever opened.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;

use super::proto::{StringStringEntryProto, TensorProto};
use super::wire;
use crate::error::{Error, Result};

/// Reads external data, up to so many bytes in all.
#[derive(Debug)]
pub struct ExternalData {
    folder: Option<PathBuf>,
    left_bytes: u64,
}

impl ExternalData {
    /// Data may lie in `folder` and below; without one, external data is refused.
    pub fn new(folder: Option<&Path>, max_bytes: u64) -> Self {
        Self { folder: folder.map(Path::to_owned), left_bytes: max_bytes }
    }

    /// The `need_bytes` bytes of this tensor. Errors do not name the tensor; the caller does.
    pub fn read(&mut self, tensor: &TensorProto, need_bytes: u64) -> Result<Bytes> {
        let (mut location, mut offset, mut length) = (None, 0, None);
        for entry in &tensor.external_data {
            let entry: StringStringEntryProto = wire::decode(entry, 2, || "external data".to_owned())?;
            match entry.key.as_str() {
                "location" => location = Some(entry.value),
                "offset" => offset = number(&entry)?,
                "length" => length = Some(number(&entry)?),
                _ => {}
            }
        }
        let location = location.ok_or_else(|| Error::data("external data without a location"))?;
        let path = self.inside(&location)?;
        let size = fs::metadata(&path).ok().filter(|m| m.is_file()).map(|m| m.len());
        let size = size.ok_or_else(|| Error::data(format!("external data '{location}' is not a regular file")))?;
        let available = size
            .checked_sub(offset)
            .ok_or_else(|| Error::data(format!("external data starts at byte {offset} of '{location}', which has {size}")))?;
        let length = length.unwrap_or(available);
        if length > available {
            return Err(Error::data(format!("external data wants {length} bytes from {offset} of '{location}', which has {size}")));
        }
        if length != need_bytes {
            return Err(Error::data(format!("external data in '{location}' has {length} bytes, its shape wants {need_bytes}")));
        }
        self.left_bytes = self
            .left_bytes
            .checked_sub(length)
            .ok_or_else(|| Error::data(format!("external data in '{location}' goes beyond the limit on external data in all")))?;
        let unreadable = |e: std::io::Error| Error::data(format!("external data '{location}' cannot be read: {e}")).with_source(e);
        let mut file = File::open(&path).map_err(unreadable)?;
        file.seek(SeekFrom::Start(offset)).map_err(unreadable)?;
        let mut data = Vec::new();
        file.take(length).read_to_end(&mut data).map_err(unreadable)?;
        if data.len() as u64 != length {
            return Err(Error::data(format!("external data '{location}' became shorter while it was read")));
        }
        Ok(data.into())
    }

    /// Where `location` is, links followed, when that is inside the folder.
    fn inside(&self, location: &str) -> Result<PathBuf> {
        let Some(folder) = &self.folder else {
            return Err(Error::data(format!("its data lies in another file ('{location}'), and the model was not read from a folder")));
        };
        let outside = || Error::data(format!("external data '{location}' is outside the model's folder"));
        let relative = Path::new(location);
        if !relative.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir)) {
            return Err(outside());
        }
        let missing = |e: std::io::Error| Error::data(format!("external data '{location}' cannot be found: {e}")).with_source(e);
        let folder = folder.canonicalize().map_err(missing)?;
        let path = folder.join(relative).canonicalize().map_err(missing)?;
        if path.starts_with(&folder) { Ok(path) } else { Err(outside()) }
    }
}

fn number(entry: &StringStringEntryProto) -> Result<u64> {
    entry.value.parse().map_err(|_| Error::data(format!("external data's {} is '{}', no number of bytes", entry.key, entry.value)))
}
