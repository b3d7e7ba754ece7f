//! What is explained, and by which method.

use std::num::NonZeroUsize;

use clap::ValueEnum;

use crate::saliency::{Method, Sampling, Wanted};

/// Options that say what is explained and how.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Explanation")]
pub struct TargetOptions {
    /// What is explained: argmax, hold:SECONDS, an index, a label, topk:K, cell:LABEL, or cells:LABEL:THRESHOLD [default: the manifest's, else argmax].
    ///
    /// argmax takes the leading class of each frame. hold:SECONDS keeps a class until another has led for so long, so that neither map nor caption flickers. An index counts from 0; a label is one of the network's. topk:K takes the sum of the K largest scores. For detectors, whose output has scores in every cell of the picture, a class is that of its best cell, as cell:LABEL says too; cells:LABEL:THRESHOLD takes the sum of the class's scores over the cells where it is above the threshold. LABEL may be an index.
    #[arg(long, value_name = "TARGET")]
    pub target: Option<Wanted>,

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
