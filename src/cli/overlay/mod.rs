//! `gradcast overlay`: a recorded video in, the overlaid video out.

mod progress;
mod report;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::loading::{self, engine_settings, load_network, preprocessing};
use super::options::{
    self, ComputeOptions, EncoderOptions, FaultOptions, LookOptions, NetworkOptions, PoolOptions, RhythmOptions, SpanOptions, TargetOptions,
};
use super::signals;
use crate::engine::{Engine, Precision};
use crate::error::{Error, Kind, Result};
use crate::overlay::{self, Region};
use crate::process;
use crate::stream::{self, Between};
use crate::video::{self, AudioMode, Sink, SinkSettings, SourceSettings};

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

    /// Write a JSON line a frame: time, leading classes, target, method, residual, fault, regions [default: none].
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
    pub faults: FaultOptions,

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
pub fn run(args: Args) -> Result<()> {
    process::keep_pages();
    let input = args.input.to_str().ok_or_else(|| Error::usage(format!("{}: is not UTF-8; rename the file", args.input.display())))?;
    let sink = sink_settings(&args);
    video::init()?;
    Sink::check(&sink, input)?;
    check_beside(&args, input)?;
    let formats = Sink::formats(&sink)?;
    let stop = signals::watch()?;
    let loaded = load_network(&args.network, None)?;
    let preprocessing = preprocessing(&args.network, &loaded)?;
    let head = loaded.head()?;
    let choice = loading::choice(&args.target, &loaded, &head)?;
    let mut settings = engine_settings(&args.compute, &args.target, Precision::fastest)?;
    settings.workers = args.pool.workers;
    settings.head = head;
    settings.max_residual = args.faults.max_residual;
    let engine = Engine::start(&loaded.network, &settings)?;
    let labels = loaded.labels;
    let run = stream::Settings {
        source: SourceSettings {
            input: input.to_owned(),
            start: args.span.start,
            duration: args.span.duration,
            formats,
            audio: match args.encoder.audio {
                options::Audio::Copy => AudioMode::Copy,
                options::Audio::Transcode => AudioMode::Transcode,
                options::Audio::Drop => AudioMode::Drop,
            },
        },
        sink,
        preprocessing,
        choice,
        method: args.target.method.to_string(),
        batch: args.compute.batch.get(),
        every: args.rhythm.every.get(),
        between: match args.rhythm.between {
            options::Between::Hold => Between::Hold,
            options::Between::Interpolate => Between::Interpolate,
        },
        overlay: look(&args.look),
        smooth: args.rhythm.smooth,
        labels: labels.clone(),
        frames: args.frames.clone(),
        regions: args.regions.clone(),
        maps: args.maps.clone(),
    };
    let mut progress = progress::Shown::new();
    let result = stream::run(run, engine, &mut progress, &stop);
    progress.finish();
    let summary = result?;
    let text = if args.json {
        format!("{}\n", report::json(&summary, &labels, &args.target.method.to_string()))
    } else {
        report::text(&summary, &labels, &args.out.display().to_string())
    };
    super::print(&text)?;
    if summary.stopped_by != 0 {
        return Err(Error::new(
            Kind::Interrupted(summary.stopped_by as i32),
            format!(
                "stopped after {}, {:.1} s of the video; {} holds what there is",
                report::frames(summary.frames_out),
                summary.media_time.as_secs_f64(),
                args.out.display()
            ),
        ));
    }
    if args.strict && summary.frames_lost > 0 {
        return Err(Error::data(format!(
            "{input}: lost: {}, and --strict allows none; {} holds the others",
            report::frames(summary.frames_lost),
            args.out.display()
        )));
    }
    Ok(())
}

/// Refuses what --frames, --maps and --between ask for where it cannot be, before anything is loaded.
fn check_beside(args: &Args, input: &str) -> Result<()> {
    let part = video::part_path(&args.out);
    let taken = [("the input", Path::new(input)), ("the output", &args.out), ("where the output is written until it is done", &part)];
    if let Some(path) = &args.frames {
        stream::check_beside("--frames", path, &taken)?;
    }
    if let Some(path) = &args.maps {
        let frames = args.frames.iter().map(|path| ("what --frames writes", path.as_path()));
        stream::check_beside("--maps", path, &taken.into_iter().chain(frames).collect::<Vec<_>>())?;
    }
    let every = args.rhythm.every.get();
    if args.rhythm.between == options::Between::Interpolate && every > Between::MOST_INTERPOLATED {
        return Err(Error::usage(format!(
            "--every {every}: with --between interpolate frames wait in memory for the next one that is explained; give at most {}",
            Between::MOST_INTERPOLATED
        )));
    }
    Ok(())
}

fn sink_settings(args: &Args) -> SinkSettings {
    SinkSettings {
        path: args.out.clone(),
        force: args.force,
        encoder: args.encoder.encoder.clone(),
        crf: args.encoder.crf,
        preset: args.encoder.preset.clone(),
        bitrate_kbps: args.encoder.bitrate,
    }
}

/// The overlay's settings from the options.
pub(in crate::cli) fn look(options: &LookOptions) -> overlay::Settings {
    overlay::Settings {
        colour_map: match options.colour_map {
            options::ColourMap::Turbo => overlay::ColourMap::Turbo,
            options::ColourMap::Inferno => overlay::ColourMap::Inferno,
            options::ColourMap::Viridis => overlay::ColourMap::Viridis,
            options::ColourMap::Magma => overlay::ColourMap::Magma,
            options::ColourMap::Jet => overlay::ColourMap::Jet,
            options::ColourMap::Grey => overlay::ColourMap::Grey,
        },
        opacity: options.opacity,
        floor: options.floor,
        layout: match options.layout {
            options::Layout::Blend => overlay::Layout::Blend,
            options::Layout::Side => overlay::Layout::Side,
            options::Layout::Map => overlay::Layout::Map,
        },
        caption: options.caption,
    }
}
