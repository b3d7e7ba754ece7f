//! Files that are written beside the video, and what they must not be.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Refuses a file named by `option` that cannot be written, or that is one of `taken`: (what it is, its path). Nothing is changed.
///
/// # Errors
/// Kind::Usage with the reason.
pub fn check_beside(option: &str, path: &Path, taken: &[(&str, &Path)]) -> Result<()> {
    let shown = path.display();
    let folder = folder_of(path);
    if !folder.is_dir() {
        return Err(Error::usage(format!("{option} {shown}: there is no folder {}", folder.display())));
    }
    if let Some((what, _)) = taken.iter().find(|(_, other)| is_same(path, other)) {
        return Err(Error::usage(format!("{option} {shown}: is {what}; choose another name")));
    }
    let there = path.metadata().ok();
    if there.as_ref().is_some_and(fs::Metadata::is_dir) {
        return Err(Error::usage(format!("{option} {shown}: is a folder; name a file")));
    }
    // Opening a pipe waits for who reads it.
    if there.as_ref().is_none_or(fs::Metadata::is_file) {
        let opened = OpenOptions::new().append(true).create(true).open(path);
        opened.map_err(|error| Error::usage(format!("{option} {shown}: cannot be written: {error}")).with_source(error))?;
        if there.is_none() {
            let _ = fs::remove_file(path);
        }
    }
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether both paths lead to one file by whatever links, or would.
fn is_same(one: &Path, other: &Path) -> bool {
    if let (Ok(one), Ok(other)) = (fs::metadata(one), fs::metadata(other)) {
        return (one.dev(), one.ino()) == (other.dev(), other.ino());
    }
    let place = |path: &Path| -> Option<PathBuf> { Some(folder_of(path).canonicalize().ok()?.join(path.file_name()?)) };
    place(one).is_some_and(|one| place(other) == Some(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_refused_and_stays() {
        let folder = tempfile::tempdir().expect("folder");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("in.mp4"), "video").expect("written");
        std::os::unix::fs::symlink(at("in.mp4"), at("link")).expect("a link");
        let (input, out) = (at("in.mp4"), at("out.mp4"));
        let taken = [("the input", input.as_path()), ("the output", out.as_path())];
        let refused = |path: &Path| check_beside("--maps", path, &taken).expect_err("refused").to_string();
        assert!(refused(&at("link")).contains("is the input"));
        assert!(refused(&at("./out.mp4")).contains("is the output"));
        assert!(refused(&at("no/maps")).contains("there is no folder"));
        assert!(refused(folder.path()).contains("is a folder"));
        check_beside("--maps", &at("maps"), &taken).expect("free");
        assert_eq!(fs::read(&input).expect("the input"), b"video");
        assert_eq!(fs::read_dir(folder.path()).expect("folder").count(), 2, "nothing is left");
    }
}
