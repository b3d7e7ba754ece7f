//! `--maps`: all explained frames' maps in one safetensors file, written as they come, so that memory stays bounded.
//!
//! The header says how many there are, and stands first: room is left for it and it is filled in at the end. `map` is (F, 1, H, W) f32,
//! `pts_ns` and `target` are (F,) i64.

use std::fs::{self, File};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::engine::FrameAnswer;
use crate::error::{Error, Result};

/// Bytes of the header, the length before it not counted; spaces fill what JSON leaves.
const HEADER_BYTES: usize = 504;

/// A file of maps being written.
pub(super) struct Maps {
    path: PathBuf,
    part: PathBuf,
    file: BufWriter<File>,
    size: (usize, usize),
    pts_ns: Vec<i64>,
    targets: Vec<i64>,
}

impl Maps {
    pub fn create(path: &Path) -> Result<Self> {
        let name = path.file_name().ok_or_else(|| Error::usage(format!("{}: is no file name", path.display())))?;
        let part = path.with_file_name(format!(".{}.part", name.to_string_lossy()));
        let file = File::create(&part).map_err(|error| unwritable(path, error))?;
        let mut maps =
            Maps { path: path.to_owned(), part, file: BufWriter::new(file), size: (0, 0), pts_ns: Vec::new(), targets: Vec::new() };
        maps.file.write_all(&[b' '; 8 + HEADER_BYTES]).map_err(|error| unwritable(path, error))?;
        Ok(maps)
    }

    /// Appends the map of an explained frame, row-major.
    pub fn write(&mut self, answer: &FrameAnswer, map: &[f32], pts_ns: i64) -> Result<()> {
        self.size = (answer.height, answer.width);
        self.pts_ns.push(pts_ns);
        self.targets.push(answer.target.index);
        let bytes: Vec<u8> = map.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.file.write_all(&bytes).map_err(|error| unwritable(&self.path, error))
    }

    /// Writes the header and puts the file in its place.
    pub fn finish(mut self) -> Result<()> {
        let count = self.pts_ns.len();
        let (height, width) = self.size;
        let maps = 4 * count * height * width;
        let tensor = |kind: &str, shape: Vec<usize>, start: usize, end: usize| json!({ "dtype": kind, "shape": shape, "data_offsets": [start, end] });
        let header = json!({
            "map": tensor("F32", vec![count, 1, height, width], 0, maps),
            "pts_ns": tensor("I64", vec![count], maps, maps + 8 * count),
            "target": tensor("I64", vec![count], maps + 8 * count, maps + 16 * count),
        });
        let header = format!("{:HEADER_BYTES$}", header.to_string());
        debug_assert_eq!(header.len(), HEADER_BYTES, "the header has room for numbers of any size");
        let write = |file: &mut BufWriter<File>| -> std::io::Result<()> {
            for value in self.pts_ns.iter().chain(&self.targets) {
                file.write_all(&value.to_le_bytes())?;
            }
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&(HEADER_BYTES as u64).to_le_bytes())?;
            file.write_all(header.as_bytes())?;
            file.flush()
        };
        write(&mut self.file).and_then(|()| fs::rename(&self.part, &self.path)).map_err(|error| unwritable(&self.path, error))
    }
}

impl Drop for Maps {
    fn drop(&mut self) {
        // Gone already where it was finished.
        let _ = fs::remove_file(&self.part);
    }
}

fn unwritable(path: &Path, error: std::io::Error) -> Error {
    Error::runtime(format!("{}: cannot be written; is there such a folder, and room on the disk?", path.display())).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Explained, Subject};
    use safetensors::SafeTensors;

    #[test]
    fn the_file_is_one_that_others_read() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("maps.safetensors");
        let mut maps = Maps::create(&path).expect("created");
        for frame in 0..3i64 {
            let answer = FrameAnswer {
                map: Vec::new(),
                width: 2,
                height: 1,
                leading: Vec::new(),
                target: Explained { subject: Subject::Class, index: 7 + frame, probability: 0.5 },
                value: 0.0,
                terms: Vec::new(),
                residual: 0.0,
                fault: None,
            };
            maps.write(&answer, &[frame as f32, 0.5], frame * 40_000_000).expect("written");
        }
        assert!(!path.exists(), "nothing at the final name before the end");
        maps.finish().expect("finished");
        let bytes = fs::read(&path).expect("the file");
        let file = SafeTensors::deserialize(&bytes).expect("safetensors");
        let map = file.tensor("map").expect("map");
        assert_eq!(map.shape(), [3, 1, 1, 2]);
        let values: Vec<f32> = map.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        assert_eq!(values, [0.0, 0.5, 1.0, 0.5, 2.0, 0.5]);
        let whole = |name: &str| -> Vec<i64> {
            let view = file.tensor(name).expect(name);
            view.data().chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().expect("eight bytes"))).collect()
        };
        assert_eq!(whole("pts_ns"), [0, 40_000_000, 80_000_000]);
        assert_eq!(whole("target"), [7, 8, 9]);
        assert_eq!(fs::read_dir(folder.path()).expect("folder").count(), 1, "no part file is left");
    }
}
