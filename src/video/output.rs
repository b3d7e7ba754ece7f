//! Frames on their way to the encoder, and the file on its way to its name.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use gst_video::VideoFrameExt;
use gst_video::video_frame::{VideoFrame, Writable};

use crate::error::{Error, Result};
use crate::frame::{FrameMut, PictureInfo, PlaneMut};

/// A frame to be written, in the encoder's own memory.
pub struct OutputFrame {
    pub(super) frame: VideoFrame<Writable>,
    info: PictureInfo,
}

impl OutputFrame {
    pub(super) fn new(frame: VideoFrame<Writable>, info: PictureInfo) -> Self {
        Self { frame, info }
    }

    /// The buffer, with the last column and row of luma repeated where the coded size is one larger than the picture's. Chroma, half the
    /// size rounded up, is as large already.
    pub(super) fn into_padded_buffer(mut self) -> gst::Buffer {
        let (width, height) = (self.info.width_px, self.info.height_px);
        let (coded_width, coded_height) = (self.frame.width() as usize, self.frame.height() as usize);
        let sample_bytes = self.info.format.sample_bytes();
        let stride = self.frame.plane_stride()[0] as usize;
        if (coded_width, coded_height) != (width, height) {
            let luma = self.frame.plane_data_mut(0).expect("every format has luma");
            if coded_width > width {
                for row in luma.chunks_mut(stride).take(height) {
                    row.copy_within((width - 1) * sample_bytes..width * sample_bytes, width * sample_bytes);
                }
            }
            if coded_height > height {
                luma.copy_within((height - 1) * stride..(height - 1) * stride + coded_width * sample_bytes, height * stride);
            }
        }
        self.frame.into_buffer()
    }
}

impl FrameMut for OutputFrame {
    fn info(&self) -> &PictureInfo {
        &self.info
    }

    fn planes_mut(&mut self) -> Vec<PlaneMut<'_>> {
        let planes = self.info.format.planes();
        let mut strides = [0; 4];
        for (stride, &own) in strides.iter_mut().zip(self.frame.plane_stride()) {
            *stride = own as usize;
        }
        let data = self.frame.planes_data_mut();
        data.into_iter().zip(strides).take(planes).map(|(data, stride_bytes)| PlaneMut { data, stride_bytes }).collect()
    }
}

impl std::fmt::Debug for OutputFrame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutputFrame").field("info", &self.info).finish()
    }
}

/// Where the output is while it is being written: `.NAME.part.EXT` beside it.
pub fn part_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_stem().unwrap_or_default());
    name.push(".part");
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Refuses an output that cannot be or must not be written, before anything is decoded.
pub(super) fn check_path(path: &Path, force: bool, input: &str) -> Result<()> {
    let shown = path.display();
    let folder = folder_of(path);
    if !folder.is_dir() {
        return Err(Error::usage(format!("{shown}: there is no folder {}", folder.display())));
    }
    let input =
        if input.contains("://") { gst::glib::filename_from_uri(input).map(|(path, _)| path).ok() } else { Some(PathBuf::from(input)) };
    if let Some(input) = input {
        if is_same(path, &input) {
            return Err(Error::usage(format!("{shown} is the input itself: choose another name for the output")));
        }
        if is_same(&part_path(path), &input) {
            return Err(Error::usage(format!(
                "{shown}: the input is where this output would be written until it is done: choose another name"
            )));
        }
    }
    if path.is_dir() {
        return Err(Error::usage(format!("{shown} is a folder: name a file")));
    }
    if !force && path.symlink_metadata().is_ok() {
        return Err(Error::usage(format!("{shown} is there already: use --force to replace it")));
    }
    let part = part_path(path);
    let was_there = part.symlink_metadata().is_ok();
    OpenOptions::new().write(true).create(true).truncate(false).open(&part).map_err(|error| {
        Error::usage(format!("{}: nothing can be written in this folder: {error}", folder.display())).with_source(error)
    })?;
    if !was_there {
        let _ = fs::remove_file(&part);
    }
    Ok(())
}

/// Whether both paths lead to one file, by whatever links.
fn is_same(one: &Path, other: &Path) -> bool {
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

/// Gives a finished file its name, once its bytes are on the disk. Gives back its size.
pub(super) fn settle(part: &Path, path: &Path) -> Result<u64> {
    let failed = |error: std::io::Error| Error::runtime(format!("{}: {error}", path.display())).with_source(error);
    let file = File::open(part).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    fs::rename(part, path).map_err(failed)?;
    // The new name itself is on the disk only with its folder; where a folder cannot be synced the file is no less whole.
    if let Ok(folder) = File::open(folder_of(path)) {
        let _ = folder.sync_all();
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_file_lies_beside_the_output() {
        let cases = [("out.mp4", ".out.part.mp4"), ("/a/b.c.mkv", "/a/.b.c.part.mkv"), ("x", ".x.part")];
        for (path, part) in cases {
            assert_eq!(part_path(Path::new(path)), Path::new(part));
        }
    }
}
