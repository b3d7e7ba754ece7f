//! A network's manifest: which file, how a picture becomes its input, what its output means.
//!
//! ```toml
//! file = "efficientnet_lite0.onnx"       # beside the manifest
//! sha256 = "2de7…"                       # of the file; checked before it is read
//! licence = "Apache-2.0"
//! source = "where the weights come from"
//!
//! [input]
//! size = [224, 224]                      # width, height in pixels; left out where the network fixes it
//! colour = "rgb"                         # rgb, bgr or grey
//! layout = "nchw"                        # nchw or nhwc; left out, the sizes tell it
//! scale = 1.0                            # white's value: a sample v of 0..=1 becomes (v * scale - mean) / std
//! mean = [0.485, 0.456, 0.406]           # one number, or one a channel in the network's order
//! std = [0.229, 0.224, 0.225]
//! fit = "stretch"                        # stretch, crop or pad
//! pad = 0.5                              # grey of the borders of fit = "pad", 0..=1
//!
//! [output]
//! name = "logits"                        # left out where there is only one
//! labels = "imagenet1k.txt"              # a label a line, in index order
//! target = "argmax"                      # what is explained unless --target says otherwise
//! final = "keep"                         # keep: a final Softmax is explained; off: the number before a final Sigmoid is
//! probability = "softmax"                # softmax, sigmoid or none: how a score becomes the probability that is reported
//!
//! [output.cells]                         # for dense outputs, as detectors have them
//! axis = 1                               # of the channels, N being axis 0; the other axes are cells
//! classes = 5                            # channel of the first class
//! count = 80                             # number of classes; left out: all channels from the first class on
//! objectness = 0                         # channel that class scores are multiplied by; left out where there is none
//! ```

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// A manifest as its file gives it, with paths resolved against the file's folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The network's ONNX file.
    pub file: PathBuf,
    /// SHA-256 of the file in hexadecimal digits; without it the file is not checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Licence of the weights, as an SPDX expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// Where the weights come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How a picture becomes the input.
    pub input: Input,
    /// What the output means.
    #[serde(default)]
    pub output: Output,
}

/// How a picture becomes the input: a sample v of 0..=1 becomes (v * scale - mean) / std.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Width and height in pixels; `None` where the network fixes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<[usize; 2]>,
    /// Order of the channels.
    pub colour: Colour,
    /// Order of the axes in the file; `None`: as its sizes tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<Layout>,
    /// White's value before mean and std: 1, or 255 for networks that want bytes.
    #[serde(default = "one")]
    pub scale: f64,
    /// One number, or one a channel in the network's order.
    pub mean: Vec<f64>,
    /// As `mean`.
    pub std: Vec<f64>,
    /// How a picture of another shape fits.
    #[serde(default)]
    pub fit: Fit,
    /// Grey value of the borders of [`Fit::Pad`], 0..=1, normalised like a sample.
    #[serde(default = "half")]
    pub pad: f64,
}

/// What the output means.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// Which output; `None` where there is only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A file with a label a line, in index order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<PathBuf>,
    /// What is explained where the caller does not say, in the words of `--target`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// What becomes of a final Softmax, LogSoftmax or Sigmoid; `None`: Softmax and LogSoftmax are taken off, Sigmoid stays.
    #[serde(default, rename = "final", skip_serializing_if = "Option::is_none")]
    pub ending: Option<Final>,
    /// How a score becomes the probability that is reported; `None`: as what the network ends in tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<Probability>,
    /// Where a dense output has its class scores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cells: Option<OutputCells>,
}

/// What becomes of a Softmax, LogSoftmax or Sigmoid at the very end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Final {
    /// It stays, and what it makes is explained.
    Keep,
    /// It is taken off: its input is explained.
    Off,
}

/// How a score becomes a probability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Probability {
    /// One class of all is right.
    Softmax,
    /// Each class is right or not by itself.
    Sigmoid,
    /// The score is one already, or there is none.
    None,
}

/// Where a dense output, (N, C, h, w), (N, C, A) or (N, A, C), has its class scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputCells {
    /// The axis of the channels C, N being axis 0.
    pub axis: usize,
    /// Channel of the first class.
    pub classes: usize,
    /// Number of classes; `None`: all channels from the first class on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
    /// Channel of the objectness, which class scores are multiplied by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objectness: Option<usize>,
}

/// Order of the input's channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Colour {
    Rgb,
    Bgr,
    Grey,
}

impl Colour {
    /// Channels of the input: 3 or 1.
    pub fn channels(self) -> usize {
        match self {
            Colour::Rgb | Colour::Bgr => 3,
            Colour::Grey => 1,
        }
    }
}

/// Order of the input's axes in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// (N, C, H, W).
    Nchw,
    /// (N, H, W, C).
    Nhwc,
}

/// How a picture of another shape fits the input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// The whole picture, its sides scaled apart.
    #[default]
    Stretch,
    /// The middle of the picture, as much as fits the shape.
    Crop,
    /// The whole picture, its shape kept, with borders.
    Pad,
}

fn one() -> f64 {
    1.0
}

fn half() -> f64 {
    0.5
}

impl Manifest {
    /// Reads a manifest; `file` and `output.labels` come back resolved against its folder.
    ///
    /// # Errors
    /// Kind::NoInput where there is no such file, Kind::Config with file, line and key where it is not a manifest.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(|error| unreadable("manifest", path, error))?;
        let mut manifest = Self::parse(&text).map_err(|error| error.at(path.display()))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        manifest.file = folder.join(&manifest.file);
        manifest.output.labels = manifest.output.labels.map(|labels| folder.join(labels));
        Ok(manifest)
    }

    /// Reads a manifest's text; paths stay as they are written.
    ///
    /// # Errors
    /// Kind::Config with line and key where it is not a manifest.
    pub fn parse(text: &str) -> Result<Self> {
        let manifest: Manifest = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            Error::config(format!("{place}{}", error.message().replace('\n', "; ")))
        })?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The manifest as TOML that [`Manifest::parse`] reads.
    ///
    /// # Errors
    /// Kind::Config where a path is not UTF-8.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|error| Error::config(format!("the manifest cannot be written as TOML: {error}")))
    }

    fn check(&self) -> Result<()> {
        let input = &self.input;
        let channels = input.colour.channels();
        for (key, values) in [("mean", &input.mean), ("std", &input.std)] {
            if values.len() != 1 && values.len() != channels {
                return Err(Error::config(format!("input.{key} has {} numbers; give one, or {channels}, one a channel", values.len())));
            }
            if !values.iter().all(|v| v.is_finite() && (key == "mean" || *v > 0.0)) {
                return Err(Error::config(format!(
                    "input.{key} = {values:?} cannot be; a mean is a number, a standard deviation a number above 0"
                )));
            }
        }
        if !(input.scale.is_finite() && input.scale > 0.0) {
            return Err(Error::config(format!("input.scale = {} cannot be; give white's value, 1 or 255", input.scale)));
        }
        if !(0.0..=1.0).contains(&input.pad) {
            return Err(Error::config(format!("input.pad = {} cannot be; give a grey from 0 to 1", input.pad)));
        }
        if let Some(size) = input.size.filter(|size| size.iter().any(|side| !(1..=8192).contains(side))) {
            return Err(Error::config(format!("input.size = {size:?} cannot be; give width and height from 1 to 8192 pixels")));
        }
        if let Some(cells) = &self.output.cells {
            if cells.axis == 0 || cells.count == Some(0) {
                return Err(Error::config(format!(
                    "output.cells = {cells:?} cannot be; axis 0 is the batch, and there is at least one class"
                )));
            }
            let logits = matches!(self.output.probability, Some(Probability::Softmax | Probability::Sigmoid));
            if cells.objectness.is_some() && logits {
                return Err(Error::config(
                    "output.probability says that class scores are no probabilities yet, and output.cells.objectness multiplies them; leave one out",
                ));
            }
        }
        if self.sha256.as_ref().is_some_and(|digits| digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            return Err(Error::config("sha256 is not 64 hexadecimal digits"));
        }
        Ok(())
    }

    /// Checks that the network's file is there and has the manifest's SHA-256.
    ///
    /// # Errors
    /// Kind::NoInput where there is no such file, Kind::Data where it is another.
    pub fn verify(&self) -> Result<()> {
        let found = sha256(&self.file)?;
        match &self.sha256 {
            Some(wanted) if !wanted.eq_ignore_ascii_case(&found) => Err(Error::data(format!(
                "{}: its SHA-256 is {found}, the manifest wants {wanted}; the file is damaged or another one",
                self.file.display()
            ))),
            _ => Ok(()),
        }
    }

    /// The labels in index order; `None` where the manifest names none.
    ///
    /// # Errors
    /// Kind::NoInput where the file is not there, Kind::Data where it is not UTF-8.
    pub fn labels(&self) -> Result<Option<Vec<String>>> {
        let Some(path) = &self.output.labels else { return Ok(None) };
        let text = fs::read_to_string(path).map_err(|error| unreadable("labels", path, error))?;
        Ok(Some(text.lines().map(str::to_owned).collect()))
    }
}

/// SHA-256 of a file in hexadecimal digits.
///
/// # Errors
/// Kind::NoInput where there is no such file.
pub fn sha256(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(|error| unreadable("network", path, error))?;
    let mut digest = Sha256::new();
    let mut block = vec![0; 1 << 16];
    loop {
        match file.read(&mut block) {
            Ok(0) => return Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            Ok(count) => digest.update(&block[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable("network", path, error)),
        }
    }
}

fn unreadable(what: &str, path: &Path, error: io::Error) -> Error {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => Error::no_input(format!("{path}: no such {what} file")),
        io::ErrorKind::InvalidData => Error::data(format!("{path}: the {what} file is not UTF-8 text")),
        _ => Error::no_input(format!("{path}: the {what} file cannot be read")).with_source(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    const WHOLE: &str = r#"
file = "net.onnx"
sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
licence = "Apache-2.0"
source = "made for a test"

[input]
size = [320, 240]
colour = "bgr"
layout = "nhwc"
scale = 255.0
mean = [1.0, 2.0, 3.0]
std = [4.0]
fit = "crop"

[output]
name = "logits"
labels = "labels.txt"
target = "hold:2"
final = "keep"
probability = "none"

[output.cells]
axis = 1
classes = 5
count = 80
objectness = 0
"#;

    #[test]
    fn what_is_written_is_read_again() {
        let manifest = Manifest::parse(WHOLE).expect("a whole manifest");
        assert_eq!(Manifest::parse(&manifest.to_toml().expect("TOML")).expect("its own TOML"), manifest);
    }

    #[test]
    fn what_may_be_left_out() {
        let manifest =
            Manifest::parse("file = 'n.onnx'\n[input]\ncolour = 'grey'\nmean = [0]\nstd = [1]").expect("the least that a manifest has");
        let input = Input {
            size: None,
            colour: Colour::Grey,
            layout: None,
            scale: 1.0,
            mean: vec![0.0],
            std: vec![1.0],
            fit: Fit::Stretch,
            pad: 0.5,
        };
        assert_eq!(manifest.input, input);
        assert_eq!(manifest.output, Output::default());
    }

    #[test]
    fn faults_name_the_key() {
        let cases = [
            ("fit = \"crop\"", "fitt = \"crop\"", "line 14: unknown field `fitt`"),
            ("colour = \"bgr\"", "colour = \"rbg\"", "unknown variant `rbg`"),
            ("colour = \"bgr\"", "", "missing field `colour`"),
            ("mean = [1.0, 2.0, 3.0]", "mean = [1.0, 2.0]", "input.mean has 2 numbers"),
            ("std = [4.0]", "std = [0.0]", "input.std = [0.0]"),
            ("scale = 255.0", "scale = -1.0", "input.scale = -1"),
            ("fit = \"crop\"", "pad = 2.0", "input.pad = 2"),
            ("size = [320, 240]", "size = [0, 240]", "input.size = [0, 240]"),
            ("final = \"keep\"", "final = \"kept\"", "unknown variant `kept`"),
            ("axis = 1", "axis = 0", "axis 0 is the batch"),
            ("probability = \"none\"", "probability = \"sigmoid\"", "output.cells.objectness"),
            ("ba7816bf", "xx7816bf", "sha256"),
            ("[output]", "[output", "line 16"),
        ];
        for (from, to, wanted) in cases {
            let error = Manifest::parse(&WHOLE.replace(from, to)).expect_err(to);
            assert_eq!(error.kind(), Kind::Config);
            assert!(error.to_string().contains(wanted), "{to}: {error}");
        }
    }

    #[test]
    fn paths_are_resolved_and_the_file_is_verified() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("net.toml");
        fs::write(&path, WHOLE).expect("write");
        let manifest = Manifest::read(&path).expect("the manifest");
        assert_eq!(manifest.file, folder.path().join("net.onnx"));
        assert_eq!(manifest.verify().expect_err("no file yet").kind(), Kind::NoInput);
        fs::write(&manifest.file, "abc").expect("write");
        manifest.verify().expect("SHA-256 of abc");
        fs::write(&manifest.file, "abd").expect("write");
        assert_eq!(manifest.verify().expect_err("another file").kind(), Kind::Data);
        assert_eq!(manifest.labels().expect_err("no labels yet").kind(), Kind::NoInput);
        fs::write(folder.path().join("labels.txt"), "cat\ndog\n").expect("write");
        assert_eq!(manifest.labels().expect("labels"), Some(vec!["cat".to_owned(), "dog".to_owned()]));
    }

    #[test]
    fn a_fault_in_a_file_names_the_file() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("net.toml");
        assert_eq!(Manifest::read(&path).expect_err("no file").kind(), Kind::NoInput);
        fs::write(&path, "fil = 1").expect("write");
        let message = Manifest::read(&path).expect_err("not a manifest").to_string();
        assert!(message.contains("net.toml: line 1: unknown field `fil`"), "{message}");
    }
}
