//! A stream of the service: what runs, its preview, and how it fares over the last seconds.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::watch;

use super::operations::Feed;
use super::state::{Latency, Look, Outcomes, SinkState, StreamState, Up};
use crate::clock::Stopwatch;
use crate::error::Result;
use crate::stream::live::{self, Meters, Parts, Stream};
use crate::telemetry;
use crate::video::live::Preview;

/// Pictures a second of a preview, at most.
const PREVIEW_FPS: u32 = 10;
/// Columns of a preview, at most.
const PREVIEW_WIDTH_PX: u32 = 640;
/// Rates and quantiles are those of so many seconds.
const WINDOW: usize = 10;
/// How long a stream has to come to its end.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// See the module.
pub(super) struct Member {
    pub name: String,
    /// Whether it stands in the configuration's file; others came over HTTP.
    pub of_file: bool,
    stream: Mutex<Option<Stream>>,
    meters: Arc<Meters>,
    preview: Pictures,
    samples: Mutex<VecDeque<Sample>>,
}

/// The preview's pictures and who looks at them.
#[derive(Clone)]
struct Pictures {
    newest: watch::Sender<Bytes>,
    viewers: Arc<AtomicUsize>,
}

/// Counts at a time.
#[derive(Clone)]
struct Sample {
    at: Duration,
    decoded: u64,
    explained: u64,
    latency: telemetry::Snapshot,
}

impl Member {
    /// Starts a stream.
    ///
    /// # Errors
    /// Kind::Runtime where a thread cannot be started.
    pub fn start(settings: live::Settings, of_file: bool, parts: &Parts, families: &live::Families) -> Result<Self> {
        let preview = Pictures { newest: watch::channel(Bytes::new()).0, viewers: Arc::default() };
        let sinks: Vec<String> = settings.output.sinks.iter().map(|sink| sink.name.clone()).collect();
        let meters = Arc::new(families.stream(&settings.name, &sinks));
        let name = settings.name.clone();
        let stream = Stream::start(preview.with(settings), parts, Arc::clone(&meters));
        let stream = stream.inspect_err(|_| meters.withdraw())?;
        Ok(Member { name, of_file, stream: Mutex::new(Some(stream)), meters, preview, samples: Mutex::default() })
    }

    /// What it runs with; without its preview, which is no setting.
    pub fn settings(&self) -> Option<live::Settings> {
        let mut settings = self.standing()?.settings;
        settings.output.preview = None;
        Some(settings)
    }

    /// Goes on with other settings where that can be done while it runs. False: it has to be started anew.
    pub fn change(&self, settings: &live::Settings) -> bool {
        let stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let settings = self.preview.with(settings.clone());
        match &*stream {
            Some(stream) if !stream.is_over() && stream.can_become(&settings) => {
                stream.change(settings);
                true
            }
            _ => false,
        }
    }

    /// Begins to stop; what is given waits for the end.
    pub fn stop(&self) -> impl FnOnce() -> bool + use<> {
        let stopping = self.stream.lock().unwrap_or_else(PoisonError::into_inner).take().map(Stream::stop);
        // From now on, so that several that hang are waited for side by side.
        let watch = Stopwatch::start();
        move || stopping.is_none_or(|stopping| stopping.wait(STOP_WITHIN.saturating_sub(watch.elapsed())))
    }

    /// Takes its series out of the metrics, for good.
    pub fn withdraw(&self) {
        self.meters.withdraw();
    }

    /// Pictures for one viewer more.
    pub fn look(&self) -> Feed {
        Feed::new(self.preview.newest.subscribe(), &self.preview.viewers)
    }

    /// Turns of its loop so far; `None` where it has ended.
    pub fn turns(&self) -> Option<u64> {
        let stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        stream.as_ref().filter(|stream| !stream.is_over()).map(|stream| stream.standing().turns)
    }

    /// Frames that wait in its queues.
    pub fn waiting(&self) -> [usize; 3] {
        self.standing().map_or([0; 3], |standing| standing.waiting)
    }

    /// Notes the counts; to be called once a second.
    pub fn sample(&self, at: Duration) {
        let [decoded, explained, ..] = self.meters.frames();
        let sample = Sample { at, decoded, explained, latency: self.meters.latency().snapshot() };
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.push_back(sample);
        if samples.len() > WINDOW + 1 {
            samples.pop_front();
        }
    }

    /// Frames decoded and explained a second, over the last seconds.
    pub fn rates(&self) -> (f64, f64) {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(first), Some(last)) = (samples.front(), samples.back()) else { return (0.0, 0.0) };
        let span = last.at.saturating_sub(first.at).as_secs_f64();
        let rate = |count: fn(&Sample) -> u64| if span > 0.0 { (count(last) - count(first)) as f64 / span } else { 0.0 };
        (rate(|sample| sample.decoded), rate(|sample| sample.explained))
    }

    fn latency(&self) -> Option<Latency> {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, last) = (&samples.front()?.latency, &samples.back()?.latency);
        Some(Latency { p50: last.quantile_since(first, 0.5)?, p99: last.quantile_since(first, 0.99)? })
    }

    /// Whether frames come.
    pub fn is_up(&self) -> bool {
        self.standing().is_some_and(|standing| standing.up == live::Up::Up)
    }

    fn standing(&self) -> Option<live::Snapshot> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(Stream::standing)
    }

    /// How it fares; `document` makes its configuration. `None` while it is being stopped.
    pub fn state(&self, document: impl FnOnce(&live::Settings) -> Value) -> Option<StreamState> {
        let standing = self.standing()?;
        // Read before the others, so that what became of frames is never more than were decoded.
        let dropped: BTreeMap<String, u64> = self.meters.drops().map(|(reason, count)| (reason.name().to_owned(), count)).collect();
        let [decoded, explained, held, late, _] = self.meters.frames();
        let (decoded_fps, explained_fps) = self.rates();
        let settings = &standing.settings;
        let look = &settings.look;
        let answer = standing.last_answer;
        Some(StreamState {
            name: self.name.clone(),
            source: settings.source.input.to_string(),
            up: up(standing.up),
            last_error: standing.last_error,
            since_unix_seconds: standing.since.as_secs_f64(),
            last_frame_unix_seconds: standing.last_frame.map(|time| time.as_secs_f64()),
            size_px: standing.size_px,
            decoded_fps,
            explained_fps,
            frames: Outcomes { decoded, explained, held, late, dropped },
            latency: self.latency(),
            reconnects: self.meters.retries(),
            last_residual: answer.as_ref().map(|answer| answer.residual),
            target_label: answer.as_ref().map(|answer| answer.label.clone()),
            target_probability: answer.as_ref().map(|answer| answer.probability),
            look: Look {
                opacity: look.overlay.opacity,
                colour_map: look.overlay.colour_map.to_string(),
                target: look.target.text.clone(),
                method: look.method.to_string(),
            },
            encoder: standing.encoder,
            sinks: standing.sinks.iter().map(sink_state).collect(),
            configuration: document(settings),
        })
    }
}

impl Pictures {
    /// The settings with this preview.
    fn with(&self, mut settings: live::Settings) -> live::Settings {
        let newest = self.newest.clone();
        settings.output.preview = Some(Preview {
            fps: PREVIEW_FPS,
            width_px: PREVIEW_WIDTH_PX,
            viewers: Arc::clone(&self.viewers),
            deliver: Arc::new(move |picture| {
                newest.send_replace(picture);
            }),
        });
        settings
    }
}

fn up(up: live::Up) -> Up {
    match up {
        live::Up::Starting => Up::Starting,
        live::Up::Up => Up::Up,
        live::Up::Down => Up::Down,
        live::Up::Ended => Up::Ended,
    }
}

fn sink_state(sink: &crate::video::live::SinkState) -> SinkState {
    SinkState {
        name: sink.name.clone(),
        kind: sink.kind.to_owned(),
        up: sink.up,
        viewers: sink.viewers,
        last_error: sink.last_error.clone(),
    }
}
