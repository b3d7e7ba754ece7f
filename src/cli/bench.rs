//! `gradcast bench`: how long a network takes here.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::loading::{engine_settings, load_network};
use super::options::{ComputeOptions, NetworkOptions, PoolOptions, TargetOptions};
use crate::clock::Stopwatch;
use crate::engine::{Batch, Choice, Devices, Engine, Precision, Task, Ticket, memory};
use crate::error::Result;
use crate::process;
use crate::saliency::{Cells, Head, Target};

/// Measure a network on this machine
///
/// Milliseconds a frame for the forward pass alone and for the whole explanation by --method (in JSON always `fullgrad_ms_per_frame`): medians over at least 10 batches after warm-up, on random data. On a CUDA device the next batch is handed over while one is computed.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Print one JSON object on standard output [default: text].
    #[arg(long)]
    pub json: bool,

    /// Explain exactly so many batches, behind ten to warm up, and tell how resident memory changes meanwhile [default: at least ten batches, for three seconds].
    #[arg(long, value_name = "N")]
    pub batches: Option<NonZeroUsize>,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub network: NetworkOptions,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub target: TargetOptions,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub compute: ComputeOptions,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub pool: PoolOptions,
}

const EXAMPLES: &str = "\
Examples:
  gradcast bench
  gradcast bench --model resnet50.onnx --batch 1 --precision bf16 --threads 2 --json
  gradcast bench --batch 1 --batches 10000";

/// Batches before those that are measured: memory is taken, kernels are chosen.
const WARM_UP: usize = 3;
/// The same before resident memory is looked at, which workers that meet by chance bring to its height a little later.
const WARM_UP_MEMORY: usize = 10;
/// Least number of batches that are measured.
const BATCHES: usize = 10;
/// Batches go on being measured for so long.
const AT_LEAST: Duration = Duration::from_secs(3);

/// Measures a network.
pub fn run(args: Args) -> Result<()> {
    process::keep_pages();
    let loaded = load_network(&args.network, None)?;
    let mut settings = engine_settings(&args.compute, &args.target, |_| Precision::F32)?;
    // How long it takes does not depend on what is explained: of a dense output nobody has to tell what it means.
    settings.head = loaded.head().unwrap_or_else(|_| {
        let cells = loaded.network.output_shape().get(1).map(|&count| Cells { axis: 1, classes: 0, count, objectness: None });
        Head { cells, ..Head::default() }
    });
    settings.workers = args.pool.workers;
    let batch = args.compute.batch.get();
    let mut course = Course {
        engine: Engine::start(&loaded.network, &settings)?,
        input: Batch { pixels: noise(batch * loaded.network.input_shape().iter().product::<usize>()), times: Vec::new() },
        choice: Arc::new(Choice::Fixed(Target::Argmax)),
        // The program stays ahead of a device that works behind its back; a processor gets one batch after the other.
        ahead: if settings.devices == Devices::Cpu { 0 } else { settings.worker_count() },
    };
    let forward = course.median_ms(Task::Infer)? / batch as f64;
    let mut resident = None;
    let fullgrad = match args.batches {
        None => course.median_ms(Task::Explain)?,
        Some(batches) => {
            course.times_ms(Task::Explain, WARM_UP_MEMORY)?;
            let warm = process::rss_bytes();
            let times = course.times_ms(Task::Explain, batches.get())?;
            resident = Some((batches.get(), warm, process::rss_bytes()));
            median(times)
        }
    } / batch as f64;
    let peak = process::peak_rss_bytes();
    let idle = memory::usage(&settings.devices, true)?.in_use_bytes;
    course.times_ms(Task::Explain, WARM_UP)?;
    let behind = memory::usage(&settings.devices, false)?;
    let tensors = behind.peak_bytes.saturating_sub(idle);
    let pool = (behind.in_use_bytes + behind.kept_bytes).saturating_sub(idle);
    let Course { engine, input, .. } = course;
    let counts = engine.record().counts();
    drop(engine);
    let kept = memory::kept_activations_bytes(&loaded.network, &settings, &input.pixels)?;

    let (threads, workers, precision) = (settings.thread_count(), settings.worker_count(), settings.precision.name());
    if args.json {
        let mut result = json!({
            "forward_ms_per_frame": forward,
            "fullgrad_ms_per_frame": fullgrad,
            "peak_rss_bytes": peak,
            "device": settings.devices.to_string(),
            "precision": precision,
            "method": args.target.method.to_string(),
            "batch": batch,
            "threads": threads,
            "workers": workers,
            "kept_activations_bytes": kept,
            "peak_tensor_bytes": tensors,
            "tensor_pool_bytes": pool,
            "out_of_memory": counts.out_of_memory,
            "worker_restarts": counts.restarts,
        });
        if let Some((batches, warm, end)) = resident {
            result["batches"] = batches.into();
            result["resident_warm_bytes"] = warm.into();
            result["resident_end_bytes"] = end.into();
        }
        return super::print(&format!("{result}\n"));
    }
    let mut text = format!(
        "{}: {precision} on {}, batch {batch}, {threads} threads, {workers} workers\n\
         forward               {forward:8.2} ms a frame\n\
         {:21} {fullgrad:8.2} ms a frame ({:.2} x forward)\n\
         memory                {:8.0} MB at most; kept between forward and adjoint pass {:.0} MB, tensors at most {:.2} x that beside weights, \
         {:.2} x with blocks for reuse\n",
        loaded.model,
        settings.devices,
        args.target.method.to_string(),
        fullgrad / forward,
        peak as f64 / 1e6,
        kept as f64 / 1e6,
        tensors as f64 / kept as f64,
        pool as f64 / kept as f64,
    );
    if let Some((batches, warm, end)) = resident {
        text += &format!(
            "resident              {:8.1} MB after warm-up, {:.1} MB after {batches} batches more\n",
            warm as f64 / 1e6,
            end as f64 / 1e6
        );
    }
    text += &super::told(counts).map(|told| format!("{told}\n")).unwrap_or_default();
    super::print(&text)
}

/// Batches that go through the engine one after the other.
struct Course {
    engine: Engine,
    input: Batch,
    choice: Arc<Choice>,
    /// Batches that are handed over before an answer is waited for.
    ahead: usize,
}

impl Course {
    /// Median time of a batch in ms, of enough of them.
    fn median_ms(&mut self, task: Task) -> Result<f64> {
        self.times_ms(task, WARM_UP)?;
        let watch = Stopwatch::start();
        let mut times = Vec::new();
        while times.len() < BATCHES || watch.elapsed() < AT_LEAST {
            times.extend(self.times_ms(task, BATCHES)?);
        }
        Ok(median(times))
    }

    /// Times from answer to answer in ms, of so many batches.
    fn times_ms(&mut self, task: Task, batches: usize) -> Result<Vec<f64>> {
        let mut waiting = VecDeque::new();
        let mut times = Vec::with_capacity(batches);
        let mut watch = Stopwatch::start();
        let mut answer = |waiting: &mut VecDeque<Ticket>| -> Result<()> {
            if let Some(ticket) = waiting.pop_front() {
                ticket.numbers()?;
                times.push(watch.elapsed().as_secs_f64() * 1e3);
                watch = Stopwatch::start();
            }
            Ok(())
        };
        for _ in 0..batches {
            waiting.push_back(self.engine.submit(task, &self.input, &self.choice)?);
            if waiting.len() > self.ahead {
                answer(&mut waiting)?;
            }
        }
        while !waiting.is_empty() {
            answer(&mut waiting)?;
        }
        Ok(times)
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
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
