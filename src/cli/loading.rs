//! From the options to a network that can run: the file is found, checked, read, and brought to the canonical cut.

use std::path::PathBuf;

use super::options::{self, ComputeOptions, InputSize, NetworkOptions, Precision, TargetOptions};
use crate::engine::{self, Devices};
use crate::error::{Error, Result};
use crate::network::catalogue::{self, Found};
use crate::network::load::{LoadOptions, load};
use crate::network::manifest::Manifest;
use crate::network::onnx;
use crate::network::structure::Network;
use crate::saliency::{Rescale, Target};

/// A network with what is known about it.
pub struct Loaded {
    /// What `--model` said.
    pub model: String,
    /// The ONNX file.
    pub file: PathBuf,
    /// The manifest, where there is one.
    pub manifest: Option<Manifest>,
    /// Labels in index order; empty where none are known.
    pub labels: Vec<String>,
    /// The network.
    pub network: Network,
}

/// Loads what `options` name. `size` is (width, height) where the input itself tells it, as a tensor's shape does.
///
/// # Errors
/// Kind::NoInput, Kind::Config and Kind::Data, with the file and the node.
pub fn load_network(options: &NetworkOptions, size: Option<InputSize>) -> Result<Loaded> {
    let (file, manifest) = match catalogue::find(&options.model, &catalogue::folders())? {
        Found::Manifest(manifest) => {
            manifest.verify()?;
            (manifest.file.clone(), Some(*manifest))
        }
        Found::Bare(file) => (file, None),
    };
    let graph = onnx::read_file(&file, &onnx::Limits::default())?;
    let from_manifest = manifest.as_ref().and_then(|m| m.input.size).map(|[width, height]| (height, width));
    let asked = options.input_size.or(size).map(|size| (size.height_px, size.width_px));
    let output = options.output.clone().or_else(|| manifest.as_ref().and_then(|m| m.output.name.clone()));
    let load_options = LoadOptions { input_size: asked.or(from_manifest), output, layout: manifest.as_ref().and_then(|m| m.input.layout) };
    let network = load(&graph, &load_options).map_err(|error| error.at(file.display()))?;
    let labels = manifest.as_ref().map(Manifest::labels).transpose()?.flatten().unwrap_or_default();
    Ok(Loaded { model: options.model.clone(), file, manifest, labels, network })
}

/// The engine's settings; `automatic` is what `--precision auto` means here. What the devices need is opened.
///
/// # Errors
/// Kind::Runtime where a device is not there.
pub fn engine_settings(
    compute: &ComputeOptions,
    target: &TargetOptions,
    automatic: fn(&Devices) -> engine::Precision,
) -> Result<engine::Settings> {
    let (devices, remark) = compute.device.open()?;
    if let Some(remark) = remark {
        eprintln!("{remark}");
    }
    Ok(engine::Settings {
        precision: match compute.precision {
            Precision::Auto => automatic(&devices),
            Precision::F32 => engine::Precision::F32,
            Precision::Bf16 => engine::Precision::Bf16,
            Precision::F16 => engine::Precision::F16,
            Precision::F64 => engine::Precision::F64,
        },
        devices,
        workers: None,
        threads: compute.threads,
        rescale: match target.rescale {
            super::options::Rescale::Node => Rescale::Node,
            super::options::Rescale::Channel => Rescale::Channel,
        },
    })
}

/// What `--target`, or else the manifest, says is explained.
///
/// # Errors
/// Kind::Usage where a label is not one of the network's, Kind::Config where the manifest's target is none.
pub fn asked_target(target: &TargetOptions, loaded: &Loaded) -> Result<options::Target> {
    let from_manifest = loaded.manifest.as_ref().and_then(|manifest| manifest.output.target.as_deref());
    match (&target.target, from_manifest) {
        (Some(target), _) => Ok(target.clone()),
        (None, Some(text)) => text.parse().map_err(|error| Error::config(format!("output.target {text:?} of the manifest: {error}"))),
        (None, None) => Ok(options::Target::Argmax),
    }
}

/// The same for pictures without time; a hold is an argmax there.
///
/// # Errors
/// As [`asked_target`].
pub fn class_target(target: &TargetOptions, loaded: &Loaded) -> Result<Target> {
    match asked_target(target, loaded)? {
        options::Target::Argmax | options::Target::Hold(_) => Ok(Target::Argmax),
        options::Target::Index(index) => {
            let classes = loaded.network.output_shape().iter().product::<usize>();
            if index >= classes {
                return Err(Error::usage(format!("--target {index}: the network has {classes} classes, counted from 0")));
            }
            Ok(Target::Index(index as i64))
        }
        options::Target::Label(label) => label_index(&label, loaded).map(|index| Target::Index(index as i64)),
    }
}

fn label_index(label: &str, loaded: &Loaded) -> Result<usize> {
    if loaded.labels.is_empty() {
        return Err(Error::usage(format!(
            "--target {label:?}: the network's labels are not known; give an index, or output.labels in its manifest"
        )));
    }
    let wanted = label.to_lowercase();
    let matches = |test: &dyn Fn(&str) -> bool| -> Vec<usize> {
        loaded.labels.iter().enumerate().filter(|(_, known)| test(&known.to_lowercase())).map(|(index, _)| index).collect()
    };
    let exact = matches(&|known| known == wanted);
    if let [index] = exact[..] {
        return Ok(index);
    }
    let near = match exact.is_empty() {
        false => exact,
        true => Some(matches(&|known| known.contains(&wanted)))
            .filter(|near| !near.is_empty())
            .unwrap_or_else(|| misspelt(&wanted, &loaded.labels)),
    };
    let names: Vec<String> = near.iter().take(5).map(|&index| format!("{index} {:?}", loaded.labels[index])).collect();
    Err(Error::usage(match names.is_empty() {
        true => format!("--target {label:?}: none of the network's {} labels", loaded.labels.len()),
        false => format!("--target {label:?}: is not one label; perhaps {}", names.join(", ")),
    }))
}

/// Labels, or words of them, that differ from `wanted` in few letters; the nearest first.
fn misspelt(wanted: &str, labels: &[String]) -> Vec<usize> {
    let most = 1 + wanted.chars().count() / 4;
    let nearest = |label: &str| {
        let label = label.to_lowercase();
        label.split_whitespace().chain([label.as_str()]).map(|part| edits(wanted, part)).min().unwrap_or(usize::MAX)
    };
    let mut near: Vec<(usize, usize)> = labels.iter().enumerate().map(|(index, label)| (nearest(label), index)).collect();
    near.retain(|&(edits, _)| edits <= most);
    near.sort_unstable();
    near.into_iter().map(|(_, index)| index).collect()
}

/// How many letters have to be put in, left out or changed to make `a` to `b` (Levenshtein's distance).
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, other) in b.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_labels_are_found() {
        assert_eq!([edits("", "abc"), edits("kitten", "sitting"), edits("tabbi", "tabby"), edits("a", "a")], [3, 3, 1, 0]);
        let labels = ["tench", "tabby", "tiger cat", "golden retriever"].map(str::to_owned);
        assert_eq!(misspelt("tabbi", &labels), [1]);
        assert_eq!(misspelt("retreiver", &labels), [3]);
        assert_eq!(misspelt("zeppelin", &labels), [0; 0]);
    }
}
