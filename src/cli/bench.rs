//! `gradcast bench`: how long a network takes here.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::loading::{engine_settings, load_network};
use super::options::{ComputeOptions, NetworkOptions, TargetOptions};
use crate::clock::Stopwatch;
use crate::engine::{Batch, Choice, Engine, Precision, Task};
use crate::error::Result;
use crate::process;
use crate::saliency::Target;

/// Measure a network on this machine
///
/// Milliseconds a frame for the forward pass alone and for the whole explanation: medians over at least 10 batches after warm-up, on random data.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Print one JSON object on standard output [default: text].
    #[arg(long)]
    pub json: bool,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub network: NetworkOptions,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub target: TargetOptions,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub compute: ComputeOptions,
}

const EXAMPLES: &str = "\
Examples:
  gradcast bench
  gradcast bench --model resnet50.onnx --batch 1 --precision bf16 --threads 2 --json";

/// Least number of batches that are measured.
const BATCHES: usize = 10;
/// Batches go on being measured for so long.
const AT_LEAST: Duration = Duration::from_secs(3);

/// Measures a network.
pub fn run(args: Args) -> Result<()> {
    process::keep_pages();
    let loaded = load_network(&args.network, None)?;
    let settings = engine_settings(&args.compute, &args.target, |_| Precision::F32)?;
    let batch = args.compute.batch.get();
    let mut engine = Engine::start(&loaded.network, &settings)?;
    let input = Batch { pixels: noise(batch * loaded.network.input_shape().iter().product::<usize>()), times: Vec::new() };
    let forward = median_ms(&mut engine, &input, Task::Infer)? / batch as f64;
    let fullgrad = median_ms(&mut engine, &input, Task::Explain)? / batch as f64;
    let threads = settings.thread_count();
    let precision = settings.precision.name();
    let peak = process::peak_rss_bytes();
    if args.json {
        let result = json!({
            "forward_ms_per_frame": forward,
            "fullgrad_ms_per_frame": fullgrad,
            "peak_rss_bytes": peak,
            "device": "cpu",
            "precision": precision,
            "batch": batch,
            "threads": threads,
        });
        return super::print(&format!("{result}\n"));
    }
    super::print(&format!(
        "{}: {precision} on cpu, batch {batch}, {threads} threads\n\
         forward   {forward:8.2} ms a frame\n\
         FullGrad  {fullgrad:8.2} ms a frame ({:.2} x forward)\n\
         memory    {:8.0} MB at most\n",
        loaded.model,
        fullgrad / forward,
        peak as f64 / 1e6
    ))
}

/// Median time of a batch in ms.
fn median_ms(engine: &mut Engine, input: &Batch, task: Task) -> Result<f64> {
    let choice = Arc::new(Choice::Fixed(Target::Argmax));
    let mut times = Vec::new();
    let whole = Stopwatch::start();
    for round in 0.. {
        let watch = Stopwatch::start();
        engine.submit(task, input, &choice)?.numbers()?;
        if round >= 3 {
            times.push(watch.elapsed().as_secs_f64() * 1e3);
        }
        if times.len() >= BATCHES && whole.elapsed() >= AT_LEAST {
            break;
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

/// Numbers from -2 to 2 without a pattern, the same each time.
fn noise(count: usize) -> Vec<f32> {
    let mut state = 1u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 22) as f32 - 2.0
    };
    std::iter::repeat_with(next).take(count).collect()
}
