//! Safetensors files: exact numbers in and out, for scripts and tests.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, View};

use crate::error::{Error, Result};

/// A tensor's elements, row-major.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Elements {
    F32(Vec<f32>),
    F64(Vec<f64>),
    I64(Vec<i64>),
}

/// A tensor by itself: sizes and elements.
#[derive(Debug, Clone, PartialEq)]
pub struct PlainTensor {
    /// Sizes of the axes.
    pub shape: Vec<usize>,
    /// As many as the shape says.
    pub elements: Elements,
}

impl PlainTensor {
    /// Tensors of one type, joined on their first axis.
    ///
    /// # Panics
    /// Without tensors, or where their types differ.
    pub fn join(parts: &[&PlainTensor]) -> PlainTensor {
        let mut whole = parts.first().map(|&part| part.clone()).expect("at least one tensor");
        for part in &parts[1..] {
            whole.shape[0] += part.shape[0];
            match (&mut whole.elements, &part.elements) {
                (Elements::F32(all), Elements::F32(more)) => all.extend(more),
                (Elements::F64(all), Elements::F64(more)) => all.extend(more),
                (Elements::I64(all), Elements::I64(more)) => all.extend(more),
                (all, more) => panic!("types of {all:?} and {more:?} differ"),
            }
        }
        whole
    }
}

/// What is read from a file of `explain --tensor`; other keys are ignored.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// `input`: (N, C, H, W), already normalised.
    pub shape: [usize; 4],
    /// Its elements.
    pub input: Vec<f32>,
    /// `target`: (N,), where it is there.
    pub target: Option<Vec<i64>>,
}

/// Reads `input` and `target`.
///
/// # Errors
/// Kind::NoInput where there is no such file; Kind::Data where it is no safetensors file or its tensors are of another form.
pub fn read_input(path: &Path) -> Result<Input> {
    let at = |message: String| Error::data(format!("{}: {message}", path.display()));
    let bytes = fs::read(path).map_err(|error| Error::no_input(format!("{}: cannot be read", path.display())).with_source(error))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| at("is no safetensors file".to_owned()).with_source(error))?;
    let input = file.tensor("input").map_err(|_| at("has no tensor `input`".to_owned()))?;
    let &[batch, channels, rows, columns] = input.shape() else {
        return Err(at(format!("`input` has shape {:?}; (N, C, H, W) is expected", input.shape())));
    };
    if input.dtype() != Dtype::F32 {
        return Err(at(format!("`input` is of type {:?}; F32 is expected", input.dtype())));
    }
    if batch == 0 {
        return Err(at("`input` holds no image".to_owned()));
    }
    let values: Vec<f32> = input.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    if let Some(bad) = values.iter().position(|value| !value.is_finite()) {
        return Err(at(format!("`input` holds {} at element {bad}", values[bad])));
    }
    let target = match file.tensor("target") {
        Ok(target) if target.dtype() == Dtype::I64 && target.shape() == [batch] => {
            let value = |b: &[u8]| i64::from_le_bytes(b.try_into().expect("chunks of eight"));
            Some(target.data().chunks_exact(8).map(value).collect())
        }
        Ok(target) => {
            return Err(at(format!("`target` is {:?} of shape {:?}; I64 of shape [{batch}] is expected", target.dtype(), target.shape())));
        }
        Err(_) => None,
    };
    Ok(Input { shape: [batch, channels, rows, columns], input: values, target })
}

struct Stored<'a> {
    tensor: &'a PlainTensor,
}

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        match self.tensor.elements {
            Elements::F32(_) => Dtype::F32,
            Elements::F64(_) => Dtype::F64,
            Elements::I64(_) => Dtype::I64,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.tensor.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        match &self.tensor.elements {
            Elements::F32(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>().into(),
            Elements::F64(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>().into(),
            Elements::I64(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>().into(),
        }
    }

    fn data_len(&self) -> usize {
        match &self.tensor.elements {
            Elements::F32(v) => 4 * v.len(),
            Elements::F64(v) => 8 * v.len(),
            Elements::I64(v) => 8 * v.len(),
        }
    }
}

/// Writes tensors by name. The file appears whole or not at all.
///
/// # Errors
/// Kind::Runtime where the folder cannot be written or the disk is full.
pub fn write(path: &Path, tensors: &[(&str, PlainTensor)]) -> Result<()> {
    let views = tensors.iter().map(|(name, tensor)| (*name, Stored { tensor }));
    let bytes = safetensors::serialize(views, None)
        .map_err(|error| Error::runtime(format!("{}: cannot be put together", path.display())).with_source(error))?;
    write_whole(path, &bytes)
}

/// Writes a file beside its place and renames it there.
///
/// # Errors
/// Kind::Runtime where the folder cannot be written or the disk is full.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let name = path.file_name().ok_or_else(|| Error::usage(format!("{}: is no file name", path.display())))?;
    let part = path.with_file_name(format!(".{}.part", name.to_string_lossy()));
    let written = fs::write(&part, bytes).and_then(|()| fs::rename(&part, path));
    written.map_err(|error| {
        let _ = fs::remove_file(&part);
        Error::runtime(format!("{}: cannot be written; is there such a folder, and room on the disk?", path.display())).with_source(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("in.safetensors");
        let input = PlainTensor { shape: vec![2, 1, 1, 2], elements: Elements::F32(vec![1.0, -2.0, 0.5, 3.0]) };
        let target = PlainTensor { shape: vec![2], elements: Elements::I64(vec![4, -1]) };
        write(&path, &[("input", input), ("target", target)]).expect("written");
        let read = read_input(&path).expect("read");
        assert_eq!(read, Input { shape: [2, 1, 1, 2], input: vec![1.0, -2.0, 0.5, 3.0], target: Some(vec![4, -1]) });
        assert_eq!(fs::read_dir(folder.path()).expect("folder").count(), 1, "no part file is left");
    }

    #[test]
    fn faults_are_told() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("in.safetensors");
        assert_eq!(read_input(&path).expect_err("absent").kind(), Kind::NoInput);
        fs::write(&path, b"nothing like it").expect("write");
        assert_eq!(read_input(&path).expect_err("rubbish").kind(), Kind::Data);
        write(&path, &[("input", PlainTensor { shape: vec![1], elements: Elements::F32(vec![1.0]) })]).expect("written");
        assert!(read_input(&path).expect_err("shape").to_string().contains("(N, C, H, W)"));
        let nan = PlainTensor { shape: vec![1, 1, 1, 1], elements: Elements::F32(vec![f32::NAN]) };
        write(&path, &[("input", nan)]).expect("written");
        assert!(read_input(&path).expect_err("NaN").to_string().contains("NaN at element 0"));
        let nowhere = folder.path().join("no/such/out.safetensors");
        assert_eq!(write(&nowhere, &[]).expect_err("no folder").kind(), Kind::Runtime);
    }
}
