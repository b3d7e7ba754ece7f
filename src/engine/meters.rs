//! What the engine tells Prometheus.

use crate::telemetry::{CounterFamily, Gauge, GaugeFamily, Histogram, HistogramFamily, Registry, SecondsCounterFamily};

/// Upper edges for stages of a frame's or a batch's way, in seconds.
const STAGE_EDGES: [f64; 12] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.033, 0.05, 0.1, 0.2, 0.5, 2.0];
/// Upper edges for the images of a batch.
const BATCH_EDGES: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];
/// Upper edges for how long a batch's oldest frame waited for others, in seconds.
const WAIT_EDGES: [f64; 8] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5];

/// Why a worker, or all of them, were started anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// The device failed.
    Device,
    /// The worker panicked.
    Panic,
    /// All workers had been given up; the engine was started anew.
    Engine,
}

impl Restart {
    const ALL: [Restart; 3] = [Restart::Device, Restart::Panic, Restart::Engine];

    fn name(self) -> &'static str {
        match self {
            Restart::Device => "device",
            Restart::Panic => "panic",
            Restart::Engine => "engine",
        }
    }
}

/// The engine's families.
#[derive(Debug, Clone)]
pub struct Meters {
    /// Seconds a stage took, by `stage`: those of the engine are `forward` and `adjoint`, a batch's; a stream adds its own.
    pub stages: HistogramFamily,
    /// What waits, by `queue`: the engine's own is `engine`.
    pub queues: GaugeFamily,
    /// Bytes by `device` and `kind`.
    pub memory: GaugeFamily,
    pub(super) busy: SecondsCounterFamily,
    pub(super) restarts: CounterFamily,
    pub(super) waiting: Gauge,
    pub(super) forward: Histogram,
    pub(super) adjoint: Histogram,
    pub(super) batch_size: Histogram,
    pub(super) batch_wait: Histogram,
}

impl Meters {
    /// Registers them.
    pub fn register(registry: &Registry) -> Self {
        let restarts = registry.counters("worker_restarts_total", "Workers of the engine that were started anew, by reason.", &["reason"]);
        for reason in Restart::ALL {
            restarts.with(&[reason.name()]);
        }
        let batch_size = registry.histograms("batch_size", "Images of a batch.", &[], &BATCH_EDGES);
        let batch_wait = registry.histograms("batch_wait_seconds", "How long a batch's oldest image waited for others.", &[], &WAIT_EDGES);
        let stages = registry.histograms("stage_duration_seconds", "How long a stage of the way took.", &["stage"], &STAGE_EDGES);
        let queues = registry.gauges("queue_depth", "What waits in a queue, over all streams.", &["queue"]);
        Meters {
            waiting: queues.with(&["engine"]),
            forward: stages.with(&["forward"]),
            adjoint: stages.with(&["adjoint"]),
            stages,
            queues,
            memory: registry.gauges("device_memory_bytes", "Memory of a device, by kind.", &["device", "kind"]),
            busy: registry.seconds_counters("engine_busy_seconds_total", "How long a worker was not idle.", &["worker"]),
            restarts,
            batch_size: batch_size.with(&[]),
            batch_wait: batch_wait.with(&[]),
        }
    }

    /// Families that nobody reads, for commands without metrics.
    pub fn unregistered() -> Self {
        Meters::register(&Registry::default())
    }

    pub(super) fn count_restart(&self, reason: Restart) {
        self.restarts.with(&[reason.name()]).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_exported_from_the_start() {
        let registry = Registry::default();
        let meters = Meters::register(&registry);
        meters.count_restart(Restart::Panic);
        let text = registry.text();
        for line in [
            "gradcast_worker_restarts_total{reason=\"device\"} 0",
            "gradcast_worker_restarts_total{reason=\"panic\"} 1",
            "gradcast_worker_restarts_total{reason=\"engine\"} 0",
            "gradcast_batch_size_count 0",
            "gradcast_batch_wait_seconds_count 0",
            "gradcast_stage_duration_seconds_count{stage=\"forward\"} 0",
            "gradcast_stage_duration_seconds_count{stage=\"adjoint\"} 0",
            "gradcast_queue_depth{queue=\"engine\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
