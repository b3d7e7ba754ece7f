//! `gradcast explain`: still pictures, and tensors for scripts.

mod results;
mod stills;
mod tensor;
mod terms;

use std::path::PathBuf;
use std::str::FromStr;

use super::describe;
use crate::cli::options::{ComputeOptions, FaultOptions, LookOptions, NetworkOptions, PoolOptions, TargetOptions};
use crate::error::{Error, Result};
use crate::saliency::{Method, Wanted};

/// Explain still pictures, or tensors exactly
///
/// For each picture DIR gets NAME.overlay.png, NAME.map.safetensors (`map` (1, 1, H, W), not normalised, and `target`) and NAME.json (method, leading classes, target, value, residual, fault, and the part of the picture that the map covers), with --methods also NAME.methods.png, NAME being its file name without the ending; two pictures of one name are refused. A picture that cannot be read is told, the others are done, and the exit code is 65, or 66 where pictures were only absent. With --tensor the numbers themselves go in and out, for scripts.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES, override_usage = USAGE)]
pub struct Args {
    /// The pictures: PNG, JPEG or WebP.
    #[arg(value_name = "IMAGE", required_unless_present = "tensor")]
    pub images: Vec<PathBuf>,

    /// Folder for the results; made where it is not there.
    #[arg(short, long, value_name = "DIR", required_unless_present = "tensor")]
    pub out: Option<PathBuf>,

    /// Explain a tensor instead: `input` (N, C, H, W) f32, already normalised; `target` (N,) i64, where present, goes before --target.
    #[arg(long, value_name = "IN.safetensors", requires = "save", conflicts_with_all = ["images", "out"])]
    pub tensor: Option<PathBuf>,

    /// Where the results of --tensor go: logits, target, value, map, input_term, bias_term_total, residual; in f64 with --precision f64, else f32.
    #[arg(long, value_name = "OUT.safetensors", requires = "tensor", conflicts_with_all = ["images", "out"])]
    pub save: Option<PathBuf>,

    /// Write each node's share of the output: FILE.csv with a line a picture and node, and a bar chart FILE.png beside it [default: neither].
    ///
    /// Columns: image, node, operator, spatial (yes where the term is in the map), term (signed; all of an image's add up to its value, up to the residual), share (of the sum of the terms' magnitudes). The chart shows signed shares, their means where there are several pictures.
    #[arg(long, value_name = "FILE.csv")]
    pub terms: Option<PathBuf>,

    /// Replace results that are there already [default: refuse].
    #[arg(long)]
    pub force: bool,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub network: NetworkOptions,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub target: TargetOptions,

    /// Compare methods: NAME.methods.png shows each picture and its overlay by each of these, with its name below; `all` takes every one [default: no comparison].
    #[arg(long, value_name = "METHOD,...", value_delimiter = ',', conflicts_with = "tensor", help_heading = "Explanation")]
    pub methods: Vec<Compared>,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub faults: FaultOptions,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub look: LookOptions,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub compute: ComputeOptions,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub pool: PoolOptions,
}

/// An entry of --methods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compared {
    /// Every method.
    All,
    /// One.
    One(Method),
}

impl FromStr for Compared {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "all" { Ok(Compared::All) } else { text.parse().map(Compared::One) }
    }
}

const USAGE: &str = "\
gradcast explain [OPTIONS] --out <DIR> <IMAGE>...
       gradcast explain [OPTIONS] --tensor <IN.safetensors> --save <OUT.safetensors>";

const EXAMPLES: &str = "\
Examples:
  gradcast explain cat.jpg dog.png -o explained/
  gradcast explain cat.jpg -o explained/ --target 'Egyptian cat' --layout side
  gradcast explain cat.jpg -o explained/ --methods fullgrad,grad-cam,integrated-gradients
  gradcast explain cat.jpg -o explained/ --target topk:3 --terms explained/cat.csv
  gradcast explain --tensor in.safetensors --save out.safetensors --precision f64";

/// Explains pictures or a tensor.
pub fn run(args: Args) -> Result<()> {
    if matches!(args.target.target, Some(Wanted::Hold(_))) {
        return Err(Error::usage(
            "--target hold:SECONDS is for video; still pictures have no time: give argmax, an index, a label, or another that --help lists",
        ));
    }
    match (&args.tensor, &args.save, &args.out) {
        (Some(from), Some(to), _) => tensor::run(&args, from, to),
        (_, _, Some(folder)) => stills::run(&args, folder),
        _ => Err(Error::usage("give pictures and a folder for the results with --out, or --tensor and --save")),
    }
}
