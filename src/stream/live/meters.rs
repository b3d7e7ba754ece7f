//! What streams tell Prometheus: every outcome and reason from the start, and nothing of a stream that has gone.

use crate::engine;
use crate::telemetry::{Counter, CounterFamily, Gauge, GaugeFamily, Histogram, HistogramFamily, Registry};

/// Upper edges for the time from decoded to encoded, in seconds.
const LATENCY_EDGES: [f64; 18] = [0.005, 0.01, 0.015, 0.02, 0.025, 0.033, 0.04, 0.05, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2, 0.3, 0.5, 1.0, 3.0];
/// Upper edges for completeness residuals.
const RESIDUAL_EDGES: [f64; 10] = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0];

/// A name in a label.
macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$item_doc:meta])* $item:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$item_doc])* $item,)* }

        impl $name {
            /// All of them: the list is closed.
            pub const ALL: &[$name] = &[$($name::$item,)*];

            /// As the label has it.
            pub fn name(self) -> &'static str {
                match self { $($name::$item => $text,)* }
            }
        }
    };
}

labels! {
    /// What became of a decoded frame.
    Outcome {
        /// Shown with its own explanation.
        Explained = "explained",
        /// Shown with the last explanation, as `every` and `max_fps` want it.
        Held = "held",
        /// Shown with the last explanation, since its own did not come in time.
        Late = "late",
        /// Not shown; a [`Reason`] says why.
        Dropped = "dropped",
    }
}

labels! {
    /// Why a frame was not shown.
    Reason {
        /// It was decoded, and a newer one came before it was taken.
        DecodeQueue = "decode_queue",
        /// It waited for its explanation, and too many waited with it.
        EngineQueue = "engine_queue",
        /// It was drawn, and the encoder did not take it before newer ones came.
        EncodeQueue = "encode_queue",
        /// Its source was taken down.
        Disconnected = "disconnected",
        /// It does not fit the output's size or format.
        CapsChange = "caps_change",
        /// The stream was stopped.
        Shutdown = "shutdown",
    }
}

labels! {
    /// Where frames of streams wait; the engine has a queue of its own.
    Queue {
        /// Decoded, to be taken.
        Decode = "decode",
        /// Taken, for their explanation or for those before them.
        Line = "line",
        /// Drawn, for the encoder.
        Encode = "encode",
    }
}

labels! {
    /// Why a source was tried again.
    Retry {
        /// It failed.
        Error = "error",
        /// It gave no frame for too long.
        Stalled = "stalled",
        /// It ended.
        Ended = "ended",
    }
}

/// The families of all streams.
#[derive(Debug, Clone)]
pub struct Families {
    latency: HistogramFamily,
    stages: HistogramFamily,
    decoded: CounterFamily,
    frames: CounterFamily,
    dropped: CounterFamily,
    placeholders: CounterFamily,
    up: GaugeFamily,
    last_frame: GaugeFamily,
    reconnects: CounterFamily,
    residual: HistogramFamily,
    entropy: GaugeFamily,
    probability: GaugeFamily,
    faults: CounterFamily,
    sink_up: GaugeFamily,
    sink_restarts: CounterFamily,
    sink_dropped: CounterFamily,
    stuck: Counter,
}

impl Families {
    /// Registers them beside the engine's.
    pub fn register(registry: &Registry, engine: &engine::Meters) -> Self {
        for stage in ["preprocess", "overlay", "encode"] {
            engine.stages.with(&[stage]);
        }
        for queue in Queue::ALL {
            engine.queues.with(&[queue.name()]);
        }
        let stuck = registry.counters("pipeline_stuck_total", "Pipelines that did not stop in time and were left behind.", &[]);
        Families {
            latency: registry.histograms("frame_latency_seconds", "From decoded to encoded.", &["stream"], &LATENCY_EDGES),
            stages: engine.stages.clone(),
            decoded: registry.counters("frames_decoded_total", "Frames that a source gave.", &["stream"]),
            frames: registry.counters("frames_total", "Decoded frames by what became of them.", &["stream", "outcome"]),
            dropped: registry.counters("frames_dropped_total", "Decoded frames that were not shown, by reason.", &["stream", "reason"]),
            placeholders: registry.counters("placeholder_frames_total", "Pictures shown while no source gave any.", &["stream"]),
            up: registry.gauges("stream_up", "1 while the source gives frames, else 0.", &["stream"]),
            last_frame: registry.gauges(
                "stream_last_frame_timestamp_seconds",
                "When the last frame was decoded, in seconds since 1970; 0 before the first.",
                &["stream"],
            ),
            reconnects: registry.counters(
                "stream_reconnects_total",
                "Times that a source was tried again, by reason.",
                &["stream", "reason"],
            ),
            residual: registry.histograms(
                "completeness_residual",
                "Share of the explained value that its explanation misses.",
                &["stream"],
                &RESIDUAL_EDGES,
            ),
            entropy: registry.gauges("saliency_entropy", "Of the last explained frame's map, 0 (one pixel) to 1 (even).", &["stream"]),
            probability: registry.gauges("target_probability", "Of what was explained in the last explained frame.", &["stream"]),
            faults: registry.counters("numeric_faults_total", "Explained frames whose numbers have a fault.", &["stream"]),
            sink_up: registry.gauges("sink_up", "1 while a sink takes packets, else 0.", &["stream", "sink"]),
            sink_restarts: registry.counters("sink_restarts_total", "Times that a sink was tried again.", &["stream", "sink"]),
            sink_dropped: registry.counters("sink_packets_dropped_total", "Encoded packets that a sink missed.", &["stream", "sink"]),
            stuck: stuck.with(&[]),
        }
    }

    /// The series of one stream and its sinks, exported until they are withdrawn.
    pub fn stream(&self, name: &str, sinks: &[String]) -> Meters {
        let all = self.frames.with(&[name, Outcome::Dropped.name()]);
        let outcome = |outcome: Outcome| self.frames.with(&[name, outcome.name()]);
        let drops = Reason::ALL.iter().map(|reason| self.dropped.with(&[name, reason.name()]).with(&all)).collect();
        Meters {
            decoded: self.decoded.with(&[name]),
            explained: outcome(Outcome::Explained),
            held: outcome(Outcome::Held),
            late: outcome(Outcome::Late),
            drops,
            all_drops: all,
            placeholders: self.placeholders.with(&[name]),
            latency: self.latency.with(&[name]),
            preprocess: self.stages.with(&["preprocess"]),
            overlay: self.stages.with(&["overlay"]),
            encode: self.stages.with(&["encode"]),
            up: self.up.with(&[name]),
            last_frame: self.last_frame.with(&[name]),
            reconnects: Retry::ALL.iter().map(|reason| self.reconnects.with(&[name, reason.name()])).collect(),
            residual: self.residual.with(&[name]),
            entropy: self.entropy.with(&[name]),
            probability: self.probability.with(&[name]),
            faults: self.faults.with(&[name]),
            stuck: self.stuck.clone(),
            sinks: sinks.iter().map(|sink| SinkMeters::of(self, name, sink)).collect(),
            families: self.clone(),
            name: name.to_owned(),
        }
    }
}

/// One sink's series.
#[derive(Debug, Clone)]
pub struct SinkMeters {
    /// Its name.
    pub name: String,
    /// See `sink_up`.
    pub up: Gauge,
    /// See `sink_restarts_total`.
    pub restarts: Counter,
    /// See `sink_packets_dropped_total`.
    pub dropped: Counter,
}

impl SinkMeters {
    fn of(families: &Families, stream: &str, sink: &str) -> Self {
        let labels = [stream, sink];
        SinkMeters {
            name: sink.to_owned(),
            up: families.sink_up.with(&labels),
            restarts: families.sink_restarts.with(&labels),
            dropped: families.sink_dropped.with(&labels),
        }
    }
}

/// One stream's series.
#[derive(Debug)]
pub struct Meters {
    pub(super) decoded: Counter,
    pub(super) explained: Counter,
    pub(super) held: Counter,
    pub(super) late: Counter,
    drops: Vec<Counter>,
    all_drops: Counter,
    pub(super) placeholders: Counter,
    pub(super) latency: Histogram,
    pub(super) preprocess: Histogram,
    pub(super) overlay: Histogram,
    pub(super) encode: Histogram,
    pub(super) up: Gauge,
    pub(super) last_frame: Gauge,
    reconnects: Vec<Counter>,
    pub(super) residual: Histogram,
    pub(super) entropy: Gauge,
    pub(super) probability: Gauge,
    pub(super) faults: Counter,
    pub(super) stuck: Counter,
    pub(super) sinks: Vec<SinkMeters>,
    families: Families,
    name: String,
}

impl Meters {
    /// The counter of frames that are not shown for this reason; it counts in `frames_total` too.
    pub(super) fn dropped(&self, reason: Reason) -> &Counter {
        &self.drops[reason as usize]
    }

    /// The counter of retries for this reason.
    pub(super) fn retried(&self, reason: Retry) -> &Counter {
        &self.reconnects[reason as usize]
    }

    /// Retries so far.
    pub fn retries(&self) -> u64 {
        self.reconnects.iter().map(Counter::get).sum()
    }

    /// Frames so far: decoded, then explained, held, late, dropped. While frames are on their way the first is the sum of the others or more.
    pub fn frames(&self) -> [u64; 5] {
        let [explained, held, late, dropped] = [&self.explained, &self.held, &self.late, &self.all_drops].map(Counter::get);
        // Read last: a frame is decoded before anything else becomes of it.
        [self.decoded.get(), explained, held, late, dropped]
    }

    /// Dropped frames so far, by reason.
    pub fn drops(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        Reason::ALL.iter().map(|&reason| (reason, self.dropped(reason).get()))
    }

    /// A file that is through is neither up nor down: nobody is to be woken for it.
    pub(super) fn ended(&self) {
        self.families.up.remove(&[&self.name]);
    }

    /// Does `act` with the series of a sink.
    pub(super) fn of_sink(&self, name: &str, act: impl FnOnce(&SinkMeters)) {
        if let Some(sink) = self.sinks.iter().find(|sink| sink.name == name) {
            act(sink);
        }
    }

    /// From decoded to encoded.
    pub fn latency(&self) -> &Histogram {
        &self.latency
    }
}

impl Meters {
    /// Takes the stream's series out of what is exported, for good.
    pub fn withdraw(&self) {
        let (families, name) = (&self.families, self.name.as_str());
        let of_stream = [&families.decoded, &families.placeholders, &families.faults];
        of_stream.iter().for_each(|family| family.remove(&[name]));
        Outcome::ALL.iter().for_each(|outcome| families.frames.remove(&[name, outcome.name()]));
        Reason::ALL.iter().for_each(|reason| families.dropped.remove(&[name, reason.name()]));
        Retry::ALL.iter().for_each(|reason| families.reconnects.remove(&[name, reason.name()]));
        [&families.latency, &families.residual].iter().for_each(|family| family.remove(&[name]));
        let gauges = [&families.up, &families.last_frame, &families.entropy, &families.probability];
        gauges.iter().for_each(|family| family.remove(&[name]));
        for sink in &self.sinks {
            families.sink_up.remove(&[name, &sink.name]);
            families.sink_restarts.remove(&[name, &sink.name]);
            families.sink_dropped.remove(&[name, &sink.name]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn families() -> (Registry, Families) {
        let registry = Registry::default();
        let families = Families::register(&registry, &engine::Meters::register(&registry));
        (registry, families)
    }

    #[test]
    fn every_outcome_and_reason_is_there_from_the_start_and_gone_with_the_stream() {
        let (registry, families) = families();
        let before = registry.text();
        let front = families.stream("front", &["rtsp".to_owned()]);
        let text = registry.text();
        let lines = [
            "gradcast_frames_decoded_total{stream=\"front\"} 0",
            "gradcast_frames_total{outcome=\"explained\",stream=\"front\"} 0",
            "gradcast_frames_total{outcome=\"held\",stream=\"front\"} 0",
            "gradcast_frames_total{outcome=\"late\",stream=\"front\"} 0",
            "gradcast_frames_total{outcome=\"dropped\",stream=\"front\"} 0",
            "gradcast_frames_dropped_total{reason=\"decode_queue\",stream=\"front\"} 0",
            "gradcast_frames_dropped_total{reason=\"engine_queue\",stream=\"front\"} 0",
            "gradcast_frames_dropped_total{reason=\"encode_queue\",stream=\"front\"} 0",
            "gradcast_frames_dropped_total{reason=\"disconnected\",stream=\"front\"} 0",
            "gradcast_frames_dropped_total{reason=\"caps_change\",stream=\"front\"} 0",
            "gradcast_frames_dropped_total{reason=\"shutdown\",stream=\"front\"} 0",
            "gradcast_stream_reconnects_total{reason=\"error\",stream=\"front\"} 0",
            "gradcast_stream_reconnects_total{reason=\"stalled\",stream=\"front\"} 0",
            "gradcast_stream_reconnects_total{reason=\"ended\",stream=\"front\"} 0",
            "gradcast_frame_latency_seconds_bucket{stream=\"front\",le=\"0.033\"} 0",
            "gradcast_frame_latency_seconds_bucket{stream=\"front\",le=\"0.1\"} 0",
            "gradcast_completeness_residual_count{stream=\"front\"} 0",
            "gradcast_stream_up{stream=\"front\"} 0",
            "gradcast_stream_last_frame_timestamp_seconds{stream=\"front\"} 0",
            "gradcast_saliency_entropy{stream=\"front\"} 0",
            "gradcast_target_probability{stream=\"front\"} 0",
            "gradcast_numeric_faults_total{stream=\"front\"} 0",
            "gradcast_sink_up{sink=\"rtsp\",stream=\"front\"} 0",
            "gradcast_pipeline_stuck_total 0",
        ];
        for line in lines {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        front.withdraw();
        assert_eq!(registry.text(), before);
    }

    #[test]
    fn a_drop_counts_by_its_reason_and_among_all_frames() {
        let (_registry, families) = families();
        let meters = families.stream("front", &[]);
        for (count, &reason) in (1..).zip(Reason::ALL) {
            meters.dropped(reason).add(count);
        }
        assert_eq!(meters.frames(), [0, 0, 0, 0, 21]);
        assert_eq!(meters.drops().map(|(_, count)| count).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
        meters.retried(Retry::Stalled).inc();
        assert_eq!(meters.retries(), 1);
    }
}
