//! From the options to a network that can run, how its input is made, what is explained, and how it is computed.

use super::options::{self, ComputeOptions, InputSize, NetworkOptions, Precision, TargetOptions};
use crate::config::model::{self, Asked, Given, Loaded};
use crate::engine::{self, Choice, Devices};
use crate::error::{Error, Result};
use crate::saliency::preprocess::{Colour, Fit, Preprocessing};
use crate::saliency::{self, Head, Rescale, Sampling, Target, Wanted};

/// Loads what `options` name. `size` is (width, height) where the input itself tells it, as a tensor's shape does.
///
/// # Errors
/// Kind::NoInput, Kind::Config and Kind::Data, with the file and the node.
pub fn load_network(options: &NetworkOptions, size: Option<InputSize>) -> Result<Loaded> {
    Loaded::load(&Asked {
        model: options.model.clone(),
        input_px: options.input_size.or(size).map(|size| (size.width_px, size.height_px)),
        output: options.output.clone(),
    })
}

/// The preprocessing of pictures and video: the manifest's, and the options that go before it.
///
/// # Errors
/// Kind::Usage where neither a manifest nor the options say how; Kind::Config where the numbers do not fit the network.
pub fn preprocessing(options: &NetworkOptions, loaded: &Loaded) -> Result<Preprocessing> {
    loaded.preprocessing(&Given {
        colour: options.colour.map(|colour| match colour {
            options::Colour::Rgb => Colour::Rgb,
            options::Colour::Bgr => Colour::Bgr,
            options::Colour::Grey => Colour::Grey,
        }),
        mean: options.mean.as_ref().map(|values| values.0.clone()),
        std: options.std.as_ref().map(|values| values.0.clone()),
        fit: options.fit.map(|fit| match fit {
            options::Fit::Stretch => Fit::Stretch,
            options::Fit::Crop => Fit::Crop,
            options::Fit::Pad => Fit::Pad,
        }),
    })
}

/// What `--target`, or else the manifest, says is explained.
fn wanted(target: &TargetOptions, loaded: &Loaded) -> Result<Wanted> {
    target.target.clone().map_or_else(|| loaded.usual_target(), Ok)
}

/// A sentence that begins with `target` begins with the option.
fn dashed(error: Error) -> Error {
    Error::new(error.kind(), format!("--{error}"))
}

/// What is explained of moving pictures.
///
/// # Errors
/// As [`rule`].
pub fn choice(target: &TargetOptions, loaded: &Loaded, head: &Head) -> Result<Choice> {
    let rule = model::rule(&wanted(target, loaded)?, &loaded.classes(head)).map_err(dashed)?;
    Ok(rule.choice())
}

/// The same for pictures without time; a hold is an argmax there.
///
/// # Errors
/// Kind::Usage where a label is not one of the network's or the output has no such class, no such number of classes, or no cells;
/// Kind::Config where the manifest's target is none.
pub fn rule(target: &TargetOptions, loaded: &Loaded, head: &Head) -> Result<Target> {
    loaded.classes(head).target(&wanted(target, loaded)?).map_err(dashed)
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
                options::Rescale::Node => Rescale::Node,
                options::Rescale::Channel => Rescale::Channel,
            },
            sampling: Sampling { samples: target.samples, noise: target.noise, seed: target.seed, steps: target.steps },
        },
        head: Head::default(),
        max_residual: None,
    })
}
