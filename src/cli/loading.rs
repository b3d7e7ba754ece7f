//! From the options to a network that can run: the file is found, checked, read, and brought to the canonical cut.

use std::path::PathBuf;

use super::options::{ComputeOptions, InputSize, NetworkOptions, Precision, TargetOptions};
use crate::engine;
use crate::error::Result;
use crate::network::catalogue::{self, Found};
use crate::network::load::{LoadOptions, load};
use crate::network::manifest::Manifest;
use crate::network::onnx;
use crate::network::structure::Network;
use crate::saliency::Rescale;

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
    let load_options = LoadOptions { input_size: asked.or(from_manifest), output };
    let network = load(&graph, &load_options).map_err(|error| error.at(file.display()))?;
    let labels = manifest.as_ref().map(Manifest::labels).transpose()?.flatten().unwrap_or_default();
    Ok(Loaded { model: options.model.clone(), file, manifest, labels, network })
}

/// The engine's settings; `automatic` is what `--precision auto` means here.
pub fn engine_settings(compute: &ComputeOptions, target: &TargetOptions, automatic: engine::Precision) -> engine::Settings {
    engine::Settings {
        precision: match compute.precision {
            Precision::Auto => automatic,
            Precision::F32 => engine::Precision::F32,
            Precision::Bf16 => engine::Precision::Bf16,
            Precision::F64 => engine::Precision::F64,
        },
        workers: None,
        threads: compute.threads,
        rescale: match target.rescale {
            super::options::Rescale::Node => Rescale::Node,
            super::options::Rescale::Channel => Rescale::Channel,
        },
    }
}
