//! From the options to a network that can run: the file is found, checked, read, and brought to the canonical cut.

use std::path::PathBuf;

use super::options::{ComputeOptions, InputSize, NetworkOptions, Precision, TargetOptions};
use crate::engine::{self, Devices};
use crate::error::{Error, Result};
use crate::network::catalogue::{self, Found};
use crate::network::load::{LoadOptions, load};
use crate::network::manifest::{self, Manifest, OutputCells};
use crate::network::onnx;
use crate::network::structure::{Ending, EndingOp, Network};
use crate::saliency::{self, Cells, Head, Probability, Rescale, Sampling};

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
    let load_options = LoadOptions {
        input_size: asked.or(from_manifest),
        output,
        layout: manifest.as_ref().and_then(|m| m.input.layout),
        ending: manifest.as_ref().and_then(|m| m.output.ending),
    };
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
        attribution: saliency::Settings {
            methods: vec![target.method.clone()],
            rescale: match target.rescale {
                super::options::Rescale::Node => Rescale::Node,
                super::options::Rescale::Channel => Rescale::Channel,
            },
            sampling: Sampling { samples: target.samples, noise: target.noise, seed: target.seed, steps: target.steps },
        },
        head: Head::default(),
        max_residual: None,
    })
}

impl Loaded {
    /// What the output means.
    ///
    /// # Errors
    /// Kind::Config where the manifest does not fit the output; Kind::Data where the output is dense and no manifest says how it is
    /// laid out.
    pub fn head(&self) -> Result<Head> {
        let stated = self.manifest.as_ref().map(|manifest| &manifest.output);
        let shape = self.network.output_shape();
        let cells = match stated.and_then(|output| output.cells) {
            Some(cells) => Some(cells_of(&cells, shape).map_err(|message| Error::config(format!("{}: {message}", self.model)))?),
            None if shape.iter().skip(2).all(|&size| size == 1) => None,
            None => {
                return Err(Error::data(format!(
                    "{}: the output has no class scores (N, K) but is dense, {shape:?} for one picture; say in [output.cells] of a manifest which \
                     of its numbers are class scores, or choose another output with --output",
                    self.model
                )));
            }
        };
        let probability = match (stated.and_then(|output| output.probability), self.network.ending) {
            (Some(manifest::Probability::Softmax), _) => Probability::Softmax,
            (Some(manifest::Probability::Sigmoid), _) => Probability::Sigmoid,
            (Some(manifest::Probability::None), _) => Probability::Score,
            (None, Some(Ending { op: EndingOp::Sigmoid, kept: false })) => Probability::Sigmoid,
            (None, Some(Ending { op: EndingOp::Sigmoid | EndingOp::Softmax, kept: true })) => Probability::Score,
            (None, Some(Ending { op: EndingOp::Softmax | EndingOp::LogSoftmax, .. })) => Probability::Softmax,
            (None, None) if cells.is_some() => Probability::Score,
            (None, None) => Probability::Softmax,
        };
        if probability != Probability::Score && cells.as_ref().is_some_and(|cells| cells.objectness.is_some()) {
            return Err(Error::config(format!(
                "{}: output.cells.objectness multiplies class scores that are no probabilities: what the network ends in is taken off; \
                 say output.final = \"keep\"",
                self.model
            )));
        }
        Ok(Head { cells, probability })
    }
}

fn cells_of(cells: &OutputCells, shape: &[usize]) -> Result<Cells, String> {
    let fault = |what: String| format!("output.cells of the manifest: {what}; the output is {shape:?} for one picture");
    if shape.len() < 3 {
        return Err(fault("the output has no cells".to_owned()));
    }
    let channels = *shape.get(cells.axis).ok_or_else(|| fault(format!("there is no axis {}", cells.axis)))?;
    let count = cells.count.unwrap_or(channels.saturating_sub(cells.classes));
    let classes = cells.classes..cells.classes.saturating_add(count);
    if count == 0 || classes.end > channels {
        return Err(fault(format!("axis {} has no {} classes from channel {} on", cells.axis, count.max(1), cells.classes)));
    }
    match cells.objectness {
        Some(at) if at >= channels || classes.contains(&at) => {
            Err(fault(format!("objectness = {at} is a class, or no channel of axis {}", cells.axis)))
        }
        objectness => Ok(Cells { axis: cells.axis, classes: cells.classes, count, objectness }),
    }
}
