//! The life of the process: everything is started, then signals decide, then everything is drained.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tokio::sync::oneshot;

use super::http::Listening;
use super::notify::Notifier;
use super::operations::Operations;
use super::rounds::Rounds;
use super::settings::{Configuration, Settings};
use super::supervisor::{Phase, Supervisor};
use crate::clock::Clock;
use crate::engine::{self, BatchSettings, Batcher, Engine};
use crate::error::{Error, Result};
use crate::process;
use crate::stream::Labels;
use crate::stream::live::Parts;
use crate::telemetry::Registry;
use crate::video;
use crate::video::live::RtspServer;

/// Threads of tokio: HTTP is little work.
const HTTP_THREADS: usize = 2;
/// How long streams may take to drain; systemd is asked for so much.
const DRAIN: Duration = Duration::from_secs(30);
/// Between two beats of tokio's heart.
const BEAT: Duration = Duration::from_millis(500);

/// Runs a service until it is told to end by SIGTERM or SIGINT; SIGHUP reloads its configuration.
///
/// # Errors
/// What keeps it from starting: a device that is not there, a port that is taken, a stream that is refused.
pub fn run(settings: Settings, configuration: Arc<dyn Configuration>) -> Result<()> {
    let signals = Signals::new([SIGHUP, SIGINT, SIGTERM]);
    let signals = signals.map_err(|error| Error::runtime("cannot listen for signals").with_source(error))?;
    let notifier = Notifier;
    let clock = Clock::machine();
    video::init()?;
    process::keep_pages();
    let registry = Registry::default();
    let meters = engine::Meters::register(&registry);
    build_info(&registry);

    // Ports first: whoever waits for the process should learn at once that one is taken.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(HTTP_THREADS).thread_name("http").enable_all().build();
    let runtime = runtime.map_err(|error| Error::runtime("cannot start the threads of HTTP").with_source(error))?;
    let listening = runtime.block_on(Listening::open(&settings.http))?;
    let rtsp = settings.rtsp.as_ref().map(RtspServer::start).transpose()?;
    tracing::info!(http = %listening.address(), rtsp_port = rtsp.as_ref().map(RtspServer::port), "listening");

    let supervisor = Arc::new(Supervisor::new(configuration, registry, meters.clone(), parts(&settings, &clock, &meters, rtsp)?));
    let (stop_http, http_stopped) = oneshot::channel::<()>();
    let serving = runtime.spawn(listening.serve(Arc::clone(&supervisor) as Arc<dyn Operations>, async {
        let _ = http_stopped.await;
    }));
    let beats = Arc::new(AtomicU64::new(0));
    runtime.spawn(beat(Arc::clone(&beats)));
    let devices = settings.engine.devices.clone();
    for stream in settings.streams {
        let name = stream.name.clone();
        supervisor.begin(stream, true).map_err(|refused| Error::runtime(format!("stream {name} cannot be started: {refused}")))?;
    }
    let (stop_rounds, rounds_stopped) = bounded(0);
    let rounds = spawn_rounds(Rounds::new(&supervisor, &clock, notifier, &beats, devices), rounds_stopped)?;
    supervisor.enter(Phase::Running);
    notifier.ready();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), streams = supervisor.members().len(), "ready");

    attend(signals, &supervisor, notifier);
    supervisor.enter(Phase::Draining);
    notifier.stopping();
    notifier.extend_timeout(DRAIN);
    supervisor.end_all();
    drop(stop_rounds);
    let _ = rounds.join();
    drop(stop_http);
    let _ = runtime.block_on(serving);
    runtime.shutdown_timeout(Duration::from_secs(2));
    tracing::info!("ended");
    Ok(())
}

/// Starts the engine and puts together what all streams share.
fn parts(settings: &Settings, clock: &Clock, meters: &engine::Meters, rtsp: Option<RtspServer>) -> Result<Parts> {
    let (network, engine_settings, metering) = (Arc::clone(&settings.network), settings.engine.clone(), meters.clone());
    let make = move || Engine::metered(&network, &engine_settings, &metering);
    let batches = BatchSettings { max_batch: settings.max_batch, max_wait: settings.max_wait };
    Ok(Parts {
        clock: clock.clone(),
        batcher: Arc::new(Batcher::start(Box::new(make), batches, clock, meters)?),
        labels: Labels(settings.labels.clone()),
        methods: Arc::new(settings.engine.attribution.methods.clone()),
        rtsp,
    })
}

fn build_info(registry: &Registry) {
    let labels = ["version", "libtorch", "gstreamer"];
    let family = registry.gauges("build_info", "1, with what the program is made of.", &labels);
    let libtorch = option_env!("GRADCAST_LIBTORCH_VERSION").unwrap_or("unknown");
    family.with(&[env!("CARGO_PKG_VERSION"), libtorch, &video::version()]).set(1.0);
}

async fn beat(beats: Arc<AtomicU64>) {
    let mut interval = tokio::time::interval(BEAT);
    loop {
        interval.tick().await;
        beats.fetch_add(1, Ordering::SeqCst);
    }
}

fn spawn_rounds(rounds: Rounds, stopped: Receiver<()>) -> Result<thread::JoinHandle<()>> {
    let spawned = thread::Builder::new().name("rounds".to_owned()).spawn(move || rounds.go(&stopped));
    spawned.map_err(|error| Error::runtime("cannot start the thread that watches").with_source(error))
}

/// Does what signals say, until one says to end.
fn attend(mut signals: Signals, supervisor: &Supervisor, notifier: Notifier) {
    for signal in signals.forever() {
        if signal != SIGHUP {
            tracing::info!(signal = if signal == SIGTERM { "SIGTERM" } else { "SIGINT" }, "ending");
            return;
        }
        notifier.reloading();
        // What is wrong has been logged, and the old configuration goes on.
        let _ = supervisor.reload();
        notifier.ready();
    }
}
