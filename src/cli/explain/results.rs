//! Where the results of a picture go, and what stands in them.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::engine::{Fault, FrameAnswer};
use crate::error::{Error, Result};
use crate::frame::{Still, View};
use crate::stills;
use crate::stream::Labels;
use crate::tensor_file::{self, Elements, PlainTensor};

/// The files that a picture's results become: NAME.overlay.png, NAME.map.safetensors and NAME.json, and NAME.methods.png where methods
/// are compared, NAME being the picture's file name without its last ending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Results {
    /// The picture, as it was named.
    pub picture: PathBuf,
    /// The overlay.
    pub overlay: PathBuf,
    /// The sheet that compares methods, where one is wanted.
    pub sheet: Option<PathBuf>,
    map: PathBuf,
    json: PathBuf,
}

impl Results {
    fn of(picture: &Path, folder: &Path, sheet: bool) -> Result<Self> {
        let name = picture.file_stem().ok_or_else(|| Error::usage(format!("{}: is no file name", picture.display())))?;
        let file = |ending: &str| {
            let mut file = name.to_owned();
            file.push(OsStr::new(ending));
            folder.join(file)
        };
        Ok(Results {
            picture: picture.to_owned(),
            overlay: file(".overlay.png"),
            sheet: sheet.then(|| file(".methods.png")),
            map: file(".map.safetensors"),
            json: file(".json"),
        })
    }

    fn files(&self) -> impl Iterator<Item = &Path> {
        [&self.overlay, &self.map, &self.json].into_iter().chain(&self.sheet).map(PathBuf::as_path)
    }

    /// The picture and the files that it becomes.
    pub fn taken(&self) -> impl Iterator<Item = &Path> {
        self.files().chain([self.picture.as_path()])
    }

    /// Writes all but the sheet; each appears whole or not at all.
    ///
    /// # Errors
    /// Kind::Runtime where the folder cannot be written or the disk is full.
    pub fn write(&self, drawn: &Still, answer: &FrameAnswer, report: &Value) -> Result<()> {
        stills::write_png(&self.overlay, drawn)?;
        let map = PlainTensor { shape: vec![1, 1, answer.height, answer.width], elements: Elements::F32(answer.map.clone()) };
        let target = PlainTensor { shape: vec![1], elements: Elements::I64(vec![answer.target.index]) };
        tensor_file::write(&self.map, &[("map", map), ("target", target)])?;
        tensor_file::write_whole(&self.json, format!("{report:#}\n").as_bytes())
    }
}

/// The results of all pictures, in their order, with a `sheet` for each or without. Nothing is written yet.
///
/// # Errors
/// Kind::Usage where two pictures have one name, a result would be written over a picture, or results are there and may not be replaced.
pub fn plan(pictures: &[PathBuf], folder: &Path, sheet: bool, replace: bool) -> Result<Vec<Results>> {
    let all: Vec<Results> = pictures.iter().map(|picture| Results::of(picture, folder, sheet)).collect::<Result<_>>()?;
    let mut taken: HashMap<&Path, &Path> = HashMap::new();
    for results in &all {
        if let Some(other) = taken.insert(&results.overlay, &results.picture) {
            return Err(Error::usage(format!(
                "{} and {} would both become {}; explain them into different folders",
                other.display(),
                results.picture.display(),
                results.overlay.display()
            )));
        }
    }
    let there: Vec<&Path> = all.iter().flat_map(Results::files).filter(|file| file.exists()).collect();
    let known: Vec<PathBuf> = pictures.iter().filter_map(|picture| fs::canonicalize(picture).ok()).collect();
    for file in &there {
        if fs::canonicalize(file).is_ok_and(|file| known.contains(&file)) {
            return Err(Error::usage(format!("{}: a result would be written over this picture; give another folder", file.display())));
        }
    }
    match there[..] {
        [first, ref rest @ ..] if !replace => {
            let others = if rest.is_empty() { String::new() } else { format!(", with {} more", rest.len()) };
            Err(Error::usage(format!("{}: is there already{others}; --force replaces what is there", first.display())))
        }
        _ => Ok(all),
    }
}

/// By what a picture was explained.
#[derive(Debug, Clone, Copy)]
pub struct Computed<'a> {
    /// The network, as it was named.
    pub network: &'a str,
    /// The precision.
    pub precision: &'a str,
    /// The method.
    pub method: &'a str,
}

/// What NAME.json says. `view` is the part of the picture that the map covers, in fractions of its width and height.
pub fn report(picture: &Path, still: &Still, view: &View, answer: &FrameAnswer, labels: &Labels, computed: Computed) -> Value {
    let Computed { network, precision, method } = computed;
    json!({
        "picture": picture.display().to_string(),
        "width_px": still.width_px,
        "height_px": still.height_px,
        "network": network,
        "precision": precision,
        "method": method,
        "classes": answer.leading.iter().map(|class| labels.json(class)).collect::<Vec<_>>(),
        "target": labels.explained_json(&answer.target),
        "value": answer.value,
        "residual": answer.residual,
        "fault": answer.fault.map(Fault::name),
        "view": { "x": view.x, "y": view.y, "width": view.width, "height": view.height },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn names_are_the_pictures_without_their_last_ending() {
        let folder = tempfile::tempdir().expect("folder");
        let all = plan(&["a/cat.01.jpg".into(), "dog".into()], folder.path(), false, false).expect("planned");
        assert_eq!(all[0].overlay, folder.path().join("cat.01.overlay.png"));
        assert_eq!(all[0].map, folder.path().join("cat.01.map.safetensors"));
        assert_eq!(all[1].json, folder.path().join("dog.json"));
        assert_eq!(all[1].sheet, None);
        let all = plan(&["dog.png".into()], folder.path(), true, false).expect("planned");
        assert_eq!(all[0].sheet, Some(folder.path().join("dog.methods.png")));
        assert_eq!(plan(&["..".into()], folder.path(), false, false).expect_err("no name").kind(), Kind::Usage);
    }

    #[test]
    fn one_name_twice_and_results_over_pictures_are_refused_whatever_is_forced() {
        let folder = tempfile::tempdir().expect("folder");
        let error = plan(&["a/cat.jpg".into(), "b/cat.png".into()], folder.path(), false, true).expect_err("one name");
        assert_eq!(error.kind(), Kind::Usage);
        assert!(error.to_string().contains("a/cat.jpg and b/cat.png would both become"), "{error}");
        let picture = folder.path().join("cat.overlay.png");
        fs::write(&picture, "a picture").expect("written");
        let error = plan(&["cat.png".into(), picture], folder.path(), false, true).expect_err("over a picture");
        assert!(error.to_string().contains("written over this picture"), "{error}");
    }

    #[test]
    fn what_is_there_stays_unless_forced() {
        let folder = tempfile::tempdir().expect("folder");
        for name in ["cat.json", "dog.overlay.png"] {
            fs::write(folder.path().join(name), "kept").expect("written");
        }
        let pictures = ["cat.png".into(), "dog.png".into()];
        let error = plan(&pictures, folder.path(), false, false).expect_err("there already");
        assert!(error.to_string().contains("cat.json: is there already, with 1 more"), "{error}");
        assert_eq!(plan(&pictures, folder.path(), false, true).expect("forced").len(), 2);
    }
}
