//! Where networks are found: by name in a few folders, or as files.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use super::manifest::Manifest;
use crate::error::{Error, Result};

/// A network that was asked for and found.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// A manifest, by name, by its path, or beside the ONNX file that was given.
    Manifest(Box<Manifest>),
    /// An ONNX file without a manifest: only the caller knows its preprocessing.
    Bare(PathBuf),
}

/// The folders that hold networks, in the order in which they are searched: `$GRADCAST_MODELS`, `models` of the source tree or the
/// installation that the program runs from, `$XDG_DATA_HOME/gradcast/models`, `/usr/share/gradcast/models`. Not all need to be there.
pub fn folders() -> Vec<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let data_home = set("XDG_DATA_HOME").or_else(|| set("HOME").map(|home| home.join(".local/share")));
    let program = env::current_exe().and_then(fs::canonicalize).ok();
    let mut folders: Vec<PathBuf> = set("GRADCAST_MODELS").into_iter().collect();
    folders.extend(program.as_deref().and_then(beside));
    folders.extend(data_home.map(|home| home.join("gradcast/models")));
    folders.push(PathBuf::from("/usr/share/gradcast/models"));
    folders.dedup();
    folders
}

/// `models` of the source tree (the program lies in `target/PROFILE` or `target/PROFILE/deps` of it), or `PREFIX/share/gradcast/models`
/// for `PREFIX/bin/gradcast`.
fn beside(program: &Path) -> Option<PathBuf> {
    let source_tree = program.ancestors().skip(3).take(2).find(|root| root.join("Cargo.toml").is_file()).map(|root| root.join("models"));
    let installed = program.parent().and_then(Path::parent).map(|prefix| prefix.join("share/gradcast/models"));
    [source_tree, installed].into_iter().flatten().find(|folder| folder.is_dir())
}

/// Every manifest in these folders, by name: of two with one name the first is taken.
pub fn list(folders: &[PathBuf]) -> Vec<(String, PathBuf)> {
    let mut found: Vec<(String, PathBuf)> = Vec::new();
    for folder in folders {
        for path in fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            let Some(name) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
            if path.extension().is_some_and(|ending| ending == "toml") && !found.iter().any(|(taken, _)| taken == name) {
                found.push((name.to_owned(), path.clone()));
            }
        }
    }
    found.sort();
    found
}

/// The network that `--model` names: NAME, FILE.toml or FILE.onnx.
///
/// # Errors
/// Kind::NoInput where there is none, Kind::Usage where the file is of another kind, and those of [`Manifest::read`].
pub fn find(model: &str, folders: &[PathBuf]) -> Result<Found> {
    let path = Path::new(model);
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("toml") => return Manifest::read(path).map(Box::new).map(Found::Manifest),
        Some("onnx") => return onnx_file(path),
        _ if model.contains('/') => {
            return Err(Error::usage(format!("--model {model}: give a network's name, FILE.toml or FILE.onnx")));
        }
        _ => {}
    }
    let manifest = folders.iter().map(|folder| folder.join(format!("{model}.toml"))).find(|path| path.is_file()).ok_or_else(|| {
        let known = list(folders).into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
        let known = if known.is_empty() { "none".to_owned() } else { known };
        let searched = folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ");
        Error::no_input(format!("no network is called {model} (there: {known}; searched: {searched}); give a name, FILE.toml or FILE.onnx"))
    })?;
    Manifest::read(&manifest).map(Box::new).map(Found::Manifest)
}

fn onnx_file(path: &Path) -> Result<Found> {
    if !path.is_file() {
        return Err(Error::no_input(format!("{}: no such network file", path.display())));
    }
    let beside = path.with_extension("toml");
    if !beside.is_file() {
        return Ok(Found::Bare(path.to_owned()));
    }
    let manifest = Manifest::read(&beside)?;
    // A manifest that names another file says nothing about this one.
    let same = fs::canonicalize(&manifest.file).ok() == fs::canonicalize(path).ok();
    Ok(if same { Found::Manifest(Box::new(manifest)) } else { Found::Bare(path.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn write_manifest(folder: &Path, name: &str, file: &str) {
        let text = format!("file = '{file}'\n[input]\ncolour = 'rgb'\nmean = [0]\nstd = [1]");
        fs::write(folder.join(name), text).expect("write");
    }

    fn file_of(found: Found) -> PathBuf {
        match found {
            Found::Manifest(manifest) => manifest.file,
            Found::Bare(path) => panic!("{} came without its manifest", path.display()),
        }
    }

    #[test]
    fn a_name_is_taken_from_the_first_folder_that_has_it() {
        let (first, second) = (tempfile::tempdir().expect("folder"), tempfile::tempdir().expect("folder"));
        let folders = [first.path().to_owned(), second.path().join("not there"), second.path().to_owned()];
        write_manifest(first.path(), "a.toml", "a.onnx");
        write_manifest(second.path(), "a.toml", "a.onnx");
        write_manifest(second.path(), "b.toml", "b.onnx");
        assert_eq!(file_of(find("a", &folders).expect("a")), first.path().join("a.onnx"));
        assert_eq!(file_of(find("b", &folders).expect("b")), second.path().join("b.onnx"));
        let error = find("c", &folders).expect_err("no c");
        assert_eq!(error.kind(), Kind::NoInput);
        assert!(error.to_string().contains("there: a, b;"), "{error}");
        assert_eq!(find("some/where", &folders).expect_err("neither").kind(), Kind::Usage);
    }

    #[test]
    fn an_onnx_file_takes_the_manifest_beside_it_where_that_is_its_own() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("net.onnx");
        let model = path.to_str().expect("UTF-8");
        assert_eq!(find(model, &[]).expect_err("no file").kind(), Kind::NoInput);
        fs::write(&path, "").expect("write");
        assert_eq!(find(model, &[]).expect("bare"), Found::Bare(path.clone()));
        write_manifest(folder.path(), "net.toml", "net.onnx");
        assert_eq!(file_of(find(model, &[]).expect("with manifest")), path);
        write_manifest(folder.path(), "net.toml", "other.onnx");
        assert_eq!(find(model, &[]).expect("bare"), Found::Bare(path));
    }

    #[test]
    fn the_source_tree_s_own_networks_are_found_and_whole() {
        let names = list(&folders());
        assert!(names.iter().any(|(name, _)| name == "efficientnet_lite0"), "{names:?}");
        let Found::Manifest(manifest) = find("efficientnet_lite0", &folders()).expect("the default network") else {
            panic!("the default network came without its manifest");
        };
        manifest.verify().expect("the default network's file");
        assert_eq!(manifest.labels().expect("its labels").expect("named").len(), 1000);
    }
}
