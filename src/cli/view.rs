//! How a picture becomes the network's input: the manifest's words, and the options that go before them.

use super::loading::Loaded;
use super::options::{self, NetworkOptions};
use crate::error::{Error, Result};
use crate::network::manifest;
use crate::saliency::preprocess::{Colour, Fit, Preprocessing};

/// The preprocessing of pictures and video for a loaded network.
///
/// # Errors
/// Kind::Usage where neither a manifest nor the options say how; Kind::Config where the numbers do not fit the network.
pub fn preprocessing(options: &NetworkOptions, loaded: &Loaded) -> Result<Preprocessing> {
    let stated = loaded.manifest.as_ref().map(|manifest| &manifest.input);
    let [_, channels, height, width] = loaded.network.input_shape()[..] else {
        return Err(Error::data(format!("{}: its input is not of the form (N, C, H, W)", loaded.model)));
    };
    let missing = |what: &str| {
        Error::usage(format!(
            "{}: no manifest says how pictures are prepared, and {what} is not given; wrong preprocessing looks plausible, so nothing is guessed. \
             Give --colour, --mean and --std, or write a manifest: gradcast inspect --model {} --write-manifest",
            loaded.model,
            loaded.file.display()
        ))
    };
    let colour = match (options.colour, stated) {
        (Some(colour), _) => colour_of(colour),
        (None, Some(input)) => match input.colour {
            manifest::Colour::Rgb => Colour::Rgb,
            manifest::Colour::Bgr => Colour::Bgr,
            manifest::Colour::Grey => Colour::Grey,
        },
        (None, None) => return Err(missing("--colour")),
    };
    let numbers = |given: &Option<options::PerChannel>, stated: Option<&Vec<f64>>, what: &str| -> Result<Vec<f32>> {
        let values = given.as_ref().map(|values| &values.0).or(stated).ok_or_else(|| missing(what))?;
        Ok(values.iter().map(|&value| value as f32).collect())
    };
    let preprocessing = Preprocessing {
        width,
        height,
        colour,
        mean: numbers(&options.mean, stated.map(|input| &input.mean), "--mean")?,
        std: numbers(&options.std, stated.map(|input| &input.std), "--std")?,
        scale: stated.map_or(1.0, |input| input.scale as f32),
        fit: match (options.fit, stated.map(|input| input.fit)) {
            (Some(fit), _) => fit_of(fit),
            (None, Some(manifest::Fit::Stretch)) | (None, None) => Fit::Stretch,
            (None, Some(manifest::Fit::Crop)) => Fit::Crop,
            (None, Some(manifest::Fit::Pad)) => Fit::Pad,
        },
        pad: stated.map_or(0.5, |input| input.pad as f32),
    };
    preprocessing.check().map_err(|error| error.at(&loaded.model))?;
    if preprocessing.colour.channels() != channels {
        return Err(Error::config(format!(
            "{}: the network takes {channels} channels, colour {:?} has {}",
            loaded.model,
            preprocessing.colour.name(),
            preprocessing.colour.channels()
        )));
    }
    Ok(preprocessing)
}

fn colour_of(colour: options::Colour) -> Colour {
    match colour {
        options::Colour::Rgb => Colour::Rgb,
        options::Colour::Bgr => Colour::Bgr,
        options::Colour::Grey => Colour::Grey,
    }
}

fn fit_of(fit: options::Fit) -> Fit {
    match fit {
        options::Fit::Stretch => Fit::Stretch,
        options::Fit::Crop => Fit::Crop,
        options::Fit::Pad => Fit::Pad,
    }
}
