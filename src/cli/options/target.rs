//! What is explained, and by which method.

use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;

use crate::saliency::{Method, Sampling};

/// Options that say what is explained and how.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Explanation")]
pub struct TargetOptions {
    /// What is explained: argmax, hold:SECONDS, an index, a label, topk:K, cell:LABEL, or cells:LABEL:THRESHOLD [default: the manifest's, else argmax].
    ///
    /// argmax takes the leading class of each frame. hold:SECONDS keeps a class until another has led for so long, so that neither map nor caption flickers. An index counts from 0; a label is one of the network's. topk:K takes the sum of the K largest scores. For detectors, whose output has scores in every cell of the picture, a class is that of its best cell, as cell:LABEL says too; cells:LABEL:THRESHOLD takes the sum of the class's scores over the cells where it is above the threshold. LABEL may be an index.
    #[arg(long, value_name = "TARGET")]
    pub target: Option<Target>,

    /// How the map is computed: fullgrad, simple-fullgrad, smooth-fullgrad, input-x-gradient, gradient, smoothgrad, integrated-gradients, grad-cam, or grad-cam:NODE.
    ///
    /// smooth-fullgrad and smoothgrad look at noisy copies of each picture (--samples, --noise, --seed), integrated-gradients at darker ones (--steps): they take as many times longer. grad-cam looks at the last spatial layer that everything passes, or at the node of this name. docs/method.md says what each computes and what its numbers mean.
    #[arg(long, value_name = "METHOD", default_value = "fullgrad")]
    pub method: Method,

    /// Over what the absolute values of a term are brought to the range 0 to 1 before they are summed into the map; for the methods with fullgrad in their name.
    #[arg(long, value_enum, default_value_t = Rescale::Node)]
    pub rescale: Rescale,

    /// Noisy copies of a picture that smooth-fullgrad and smoothgrad average.
    #[arg(long, value_name = "N", default_value_t = Sampling::SAMPLES)]
    pub samples: NonZeroUsize,

    /// Standard deviation of their noise, as a share of the range of the picture's numbers.
    #[arg(long, value_name = "SHARE", default_value_t = Sampling::NOISE, value_parser = parse_noise)]
    pub noise: f64,

    /// Seed of their noise; every picture and frame gets the same noise.
    #[arg(long, value_name = "SEED", default_value = "0")]
    pub seed: u64,

    /// Points between the baseline and the picture at which integrated-gradients takes the gradient.
    #[arg(long, value_name = "N", default_value_t = Sampling::STEPS)]
    pub steps: NonZeroUsize,
}

/// What of the network's output is explained.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// The leading class of each frame.
    Argmax,
    /// The class that leads, kept until another has led for this long.
    Hold(Duration),
    /// The class with this index.
    Index(usize),
    /// The class with this label.
    Label(String),
    /// The sum of so many largest scores.
    Top(usize),
    /// The best cell of the class with this label or index.
    Cell(String),
    /// The cells of the class with this label or index that are above the threshold.
    Cells(String, f64),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("give argmax, hold:SECONDS, an index, a label, topk:K, cell:LABEL, or cells:LABEL:THRESHOLD".to_owned());
        }
        if text == "argmax" {
            return Ok(Target::Argmax);
        }
        if let Some(seconds) = text.strip_prefix("hold:") {
            return super::span::parse_seconds(seconds).map(Target::Hold);
        }
        if let Some(count) = text.strip_prefix("topk:") {
            let count = count.parse().ok().filter(|&count: &usize| count > 0);
            return count.map(Target::Top).ok_or_else(|| "give the number of classes after topk:, as topk:3".to_owned());
        }
        if let Some(label) = text.strip_prefix("cell:").filter(|label| !label.is_empty()) {
            return Ok(Target::Cell(label.to_owned()));
        }
        if let Some(rest) = text.strip_prefix("cells:") {
            // A label may have colons.
            let parts =
                rest.rsplit_once(':').and_then(|(label, threshold)| Some((label, threshold.parse().ok().filter(|t: &f64| t.is_finite())?)));
            return match parts {
                Some((label, threshold)) if !label.is_empty() => Ok(Target::Cells(label.to_owned(), threshold)),
                _ => Err("give a label and a threshold after cells:, as cells:car:0.3".to_owned()),
            };
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().map(Target::Index).map_err(|_| format!("the index {text} is too large"));
        }
        Ok(Target::Label(text.to_owned()))
    }
}

/// Over what the values of a term are rescaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Rescale {
    /// All channels and pixels of a node's term together.
    Node,
    /// Each channel of a node's term by itself; gives another map.
    Channel,
}

fn parse_noise(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|v| (0.0..=10.0).contains(v)).ok_or_else(|| "give a number from 0 to 10, such as 0.15".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        assert_eq!("argmax".parse(), Ok(Target::Argmax));
        assert_eq!("hold:1.5".parse(), Ok(Target::Hold(Duration::from_millis(1500))));
        assert_eq!("281".parse(), Ok(Target::Index(281)));
        assert_eq!("tabby, tabby cat".parse(), Ok(Target::Label("tabby, tabby cat".to_owned())));
        assert_eq!("topk:3".parse(), Ok(Target::Top(3)));
        assert_eq!("cell:car".parse(), Ok(Target::Cell("car".to_owned())));
        assert_eq!("cells:type: b:0.25".parse(), Ok(Target::Cells("type: b".to_owned(), 0.25)));
        for bad in [
            "",
            "topk:",
            "topk:0",
            "topk:x",
            "cells:",
            "cells:car",
            "cells::0.3",
            "cells:car:x",
            "cells:car:nan",
            "hold:",
            "hold:x",
            "hold:-1",
            "hold:1e12",
            "99999999999999999999999",
        ] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }
}
