//! A network by its name: the file is found, checked, read and brought to the canonical cut; what its output means, and how a picture
//! becomes its input.

use std::path::PathBuf;

use crate::engine::Rule;
use crate::error::{Error, Result};
use crate::network::catalogue::{self, Found};
use crate::network::load::{LoadOptions, load};
use crate::network::manifest::{self, Manifest, OutputCells};
use crate::network::onnx;
use crate::network::structure::{Ending, EndingOp, Network};
use crate::saliency::preprocess::{Colour, Fit, Preprocessing};
use crate::saliency::{Cells, Classes, Head, Probability, Wanted};

/// The network that is taken where none is named.
pub const DEFAULT_NETWORK: &str = "efficientnet_lite0";

/// Which network.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// NAME, FILE.toml or FILE.onnx.
    pub model: String,
    /// Columns and rows of the input; `None` for the manifest's, else what the network fixes.
    pub input_px: Option<(usize, usize)>,
    /// `None` for the manifest's, else the only one.
    pub output: Option<String>,
}

/// What goes before the manifest's words on how a picture becomes the input.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Given {
    /// Order of the channels.
    pub colour: Option<Colour>,
    /// One number for all channels or one for each.
    pub mean: Option<Vec<f64>>,
    /// As `mean`.
    pub std: Option<Vec<f64>>,
    /// How a picture of another shape fits.
    pub fit: Option<Fit>,
}

/// A network with what is known about it.
pub struct Loaded {
    /// What was asked for.
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

impl Loaded {
    /// Loads a network.
    ///
    /// # Errors
    /// Kind::NoInput, Kind::Config and Kind::Data, with the file and the node.
    pub fn load(asked: &Asked) -> Result<Self> {
        let (file, manifest) = match catalogue::find(&asked.model, &catalogue::folders())? {
            Found::Manifest(manifest) => {
                manifest.verify()?;
                (manifest.file.clone(), Some(*manifest))
            }
            Found::Bare(file) => (file, None),
        };
        let graph = onnx::read_file(&file, &onnx::Limits::default())?;
        let from_manifest = manifest.as_ref().and_then(|m| m.input.size).map(|[width, height]| (height, width));
        let output = asked.output.clone().or_else(|| manifest.as_ref().and_then(|m| m.output.name.clone()));
        let load_options = LoadOptions {
            input_size: asked.input_px.map(|(width, height)| (height, width)).or(from_manifest),
            output,
            layout: manifest.as_ref().and_then(|m| m.input.layout),
            ending: manifest.as_ref().and_then(|m| m.output.ending),
        };
        let network = load(&graph, &load_options).map_err(|error| error.at(file.display()))?;
        let labels = manifest.as_ref().map(Manifest::labels).transpose()?.flatten().unwrap_or_default();
        Ok(Loaded { model: asked.model.clone(), file, manifest, labels, network })
    }

    /// What can be explained.
    pub fn classes(&self, head: &Head) -> Classes {
        Classes::of(head, self.network.output_shape(), self.labels.clone())
    }

    /// What the manifest says is explained where nobody says otherwise: else the leading class.
    ///
    /// # Errors
    /// Kind::Config where the manifest's target is none.
    pub fn usual_target(&self) -> Result<Wanted> {
        match self.manifest.as_ref().and_then(|manifest| manifest.output.target.as_deref()) {
            Some(text) => text.parse().map_err(|error| Error::config(format!("output.target {text:?} of the manifest: {error}"))),
            None => Ok(Wanted::Argmax),
        }
    }

    /// How a picture becomes the network's input.
    ///
    /// # Errors
    /// Kind::Usage where neither a manifest nor `given` says how; Kind::Config where the numbers do not fit the network.
    pub fn preprocessing(&self, given: &Given) -> Result<Preprocessing> {
        let stated = self.manifest.as_ref().map(|manifest| &manifest.input);
        let [_, channels, height, width] = self.network.input_shape()[..] else {
            return Err(Error::data(format!("{}: its input is not of the form (N, C, H, W)", self.model)));
        };
        let missing = |what: &str| {
            Error::usage(format!(
                "{}: no manifest says how pictures are prepared, and {what} is not given; wrong preprocessing looks plausible, so nothing is guessed. \
                 Give --colour, --mean and --std, or write a manifest: gradcast inspect --model {} --write-manifest",
                self.model,
                self.file.display()
            ))
        };
        let colour = match (given.colour, stated) {
            (Some(colour), _) => colour,
            (None, Some(input)) => match input.colour {
                manifest::Colour::Rgb => Colour::Rgb,
                manifest::Colour::Bgr => Colour::Bgr,
                manifest::Colour::Grey => Colour::Grey,
            },
            (None, None) => return Err(missing("--colour")),
        };
        let numbers = |given: &Option<Vec<f64>>, stated: Option<&Vec<f64>>, what: &str| -> Result<Vec<f32>> {
            let values = given.as_ref().or(stated).ok_or_else(|| missing(what))?;
            Ok(values.iter().map(|&value| value as f32).collect())
        };
        let preprocessing = Preprocessing {
            width,
            height,
            colour,
            mean: numbers(&given.mean, stated.map(|input| &input.mean), "--mean")?,
            std: numbers(&given.std, stated.map(|input| &input.std), "--std")?,
            scale: stated.map_or(1.0, |input| input.scale as f32),
            fit: match (given.fit, stated.map(|input| input.fit)) {
                (Some(fit), _) => fit,
                (None, Some(manifest::Fit::Stretch)) | (None, None) => Fit::Stretch,
                (None, Some(manifest::Fit::Crop)) => Fit::Crop,
                (None, Some(manifest::Fit::Pad)) => Fit::Pad,
            },
            pad: stated.map_or(0.5, |input| input.pad as f32),
        };
        preprocessing.check().map_err(|error| error.at(&self.model))?;
        if preprocessing.colour.channels() != channels {
            return Err(Error::config(format!(
                "{}: the network takes {channels} channels, colour {:?} has {}",
                self.model,
                preprocessing.colour.name(),
                preprocessing.colour.channels()
            )));
        }
        Ok(preprocessing)
    }

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

/// The rule that follows what is wanted in moving pictures.
///
/// # Errors
/// As [`Classes::target`].
pub fn rule(wanted: &Wanted, classes: &Classes) -> Result<Rule> {
    match wanted {
        Wanted::Hold(span) => Ok(Rule::Hold(*span)),
        _ => classes.target(wanted).map(Rule::Fixed),
    }
}
