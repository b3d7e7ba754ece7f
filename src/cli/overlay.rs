//! `gradcast overlay`: a recorded video in, the overlaid video out.

use std::ffi::OsString;
use std::path::PathBuf;

use super::options::{
    ComputeOptions, EncoderOptions, LookOptions, NetworkOptions, PoolOptions, Region, RhythmOptions, SpanOptions, TargetOptions,
};
use crate::error::{Error, Result};

/// Lay saliency over a recorded video
///
/// Every frame of INPUT is in OUT, with its time, size and audio; a summary stands at the end. Until it is done, OUT is written as .NAME.part.EXT beside it, which plays up to its last second whatever happens.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The video: a file, or any URI that GStreamer reads.
    #[arg(value_name = "INPUT")]
    pub input: OsString,

    /// The video to write; its ending says the container: .mp4, .mkv or .webm.
    #[arg(short, long, value_name = "OUT")]
    pub out: PathBuf,

    /// Replace OUT where it is there already [default: refuse].
    #[arg(long)]
    pub force: bool,

    /// End with exit code 65 when any part of the input was lost [default: count it and go on].
    #[arg(long)]
    pub strict: bool,

    /// Print the summary as one JSON object on standard output [default: as text].
    #[arg(long)]
    pub json: bool,

    /// Write a JSON line a frame: time, leading classes, target, residual, regions [default: none].
    #[arg(long, value_name = "FILE.jsonl")]
    pub frames: Option<PathBuf>,

    /// Write the maps of all explained frames [default: none].
    #[arg(long, value_name = "FILE.safetensors")]
    pub maps: Option<PathBuf>,

    /// Report in --frames the share of saliency inside a box, in fractions of the frame's width and height; may be given more than once.
    #[arg(long = "region", value_name = "NAME=x,y,w,h", requires = "frames")]
    pub regions: Vec<Region>,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub span: SpanOptions,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub network: NetworkOptions,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub target: TargetOptions,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub look: LookOptions,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub rhythm: RhythmOptions,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub compute: ComputeOptions,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub pool: PoolOptions,

    #[allow(missing_docs)]
    #[command(flatten)]
    pub encoder: EncoderOptions,
}

const EXAMPLES: &str = "\
Examples:
  Class, probability and residual on a strip:
    gradcast overlay drive.mp4 -o drive.saliency.mp4 --caption
  Ten seconds from 1:30, picture and overlay side by side:
    gradcast overlay drive.mp4 -o part.mp4 --start 1:30 --duration 10 --layout side
  One class, whatever leads, with the numbers of each frame:
    gradcast overlay drive.mp4 -o cab.mp4 --target cab --frames cab.jsonl --region road=0,0.5,1,0.5
  Explain every third frame, for speed:
    gradcast overlay drive.mp4 -o quick.mkv --every 3 --between interpolate --precision bf16";

/// Overlays one video.
pub fn run(_args: Args) -> Result<()> {
    Err(Error::runtime("overlay is not put together yet"))
}
