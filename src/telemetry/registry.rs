//! Families of metrics and their series: thin types over the prometheus crate, which nothing outside this folder knows.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{CounterVec, Encoder, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, TextEncoder};

/// Beginning of every name.
const PREFIX: &str = "gradcast";

/// All metrics of a process, or of a test.
#[derive(Debug, Clone, Default)]
pub struct Registry(prometheus::Registry);

impl Registry {
    /// Counts of events. `name` goes without the prefix and ends in `_total`.
    ///
    /// # Panics
    /// When the name is taken or is none: families are named in the code.
    pub fn counters(&self, name: &str, help: &str, labels: &[&str]) -> CounterFamily {
        let family = IntCounterVec::new(options(name, help), labels).expect("a name and labels as Prometheus wants them");
        CounterFamily(self.registered(family))
    }

    /// Sums of seconds. `name` ends in `_seconds_total`.
    ///
    /// # Panics
    /// As [`Registry::counters`].
    pub fn seconds_counters(&self, name: &str, help: &str, labels: &[&str]) -> SecondsCounterFamily {
        let family = CounterVec::new(options(name, help), labels).expect("a name and labels as Prometheus wants them");
        SecondsCounterFamily(self.registered(family))
    }

    /// Values that go up and down.
    ///
    /// # Panics
    /// As [`Registry::counters`].
    pub fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> GaugeFamily {
        let family = GaugeVec::new(options(name, help), labels).expect("a name and labels as Prometheus wants them");
        GaugeFamily(self.registered(family))
    }

    /// Distributions over buckets with these upper edges.
    ///
    /// # Panics
    /// As [`Registry::counters`]; also where edges do not grow.
    pub fn histograms(&self, name: &str, help: &str, labels: &[&str], edges: &[f64]) -> HistogramFamily {
        let options = HistogramOpts { common_opts: options(name, help), buckets: edges.to_vec() };
        let family = HistogramVec::new(options, labels).expect("a name, labels and edges as Prometheus wants them");
        HistogramFamily(self.registered(family))
    }

    /// The exposition text, version 0.0.4.
    pub fn text(&self) -> String {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.0.gather(), &mut text).expect("memory takes what is written");
        String::from_utf8(text).expect("Prometheus' text is UTF-8")
    }

    fn registered<T: Collector + Clone + 'static>(&self, family: T) -> T {
        self.0.register(Box::new(family.clone())).expect("a name that no other family has");
        family
    }
}

fn options(name: &str, help: &str) -> Opts {
    Opts::new(format!("{PREFIX}_{name}"), help)
}

macro_rules! families {
    ($($(#[$doc:meta])* $family:ident of $series:ident: $vector:ty;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $family($vector);

        impl $family {
            /// The series with these values of its labels, from now on exported.
            pub fn with(&self, labels: &[&str]) -> $series {
                $series(self.0.with_label_values(labels))
            }

            /// Takes a series out of what is exported. Who still has it may go on; it is not shown.
            pub fn remove(&self, labels: &[&str]) {
                // Not there: nothing to remove.
                let _ = self.0.remove_label_values(labels);
            }
        }
    )*};
}

families! {
    /// Counters that differ by labels.
    CounterFamily of Counter: IntCounterVec;
    /// Sums of seconds that differ by labels.
    SecondsCounterFamily of SecondsCounter: CounterVec;
    /// Gauges that differ by labels.
    GaugeFamily of Gauge: GaugeVec;
    /// Histograms that differ by labels.
    HistogramFamily of Histogram: HistogramVec;
}

/// A count of events.
#[derive(Debug, Clone)]
pub struct Counter(IntCounter);

impl Counter {
    /// A counter that no registry knows, for tests and for commands without metrics.
    pub fn unregistered() -> Self {
        Counter(IntCounter::new("unregistered", "of no registry").expect("a name"))
    }

    /// One more.
    pub fn inc(&self) {
        self.0.inc();
    }

    /// So many more.
    pub fn add(&self, count: u64) {
        self.0.inc_by(count);
    }

    /// So far.
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

/// A sum of seconds.
#[derive(Debug, Clone)]
pub struct SecondsCounter(prometheus::Counter);

impl SecondsCounter {
    /// Adds a span.
    pub fn add(&self, span: Duration) {
        self.0.inc_by(span.as_secs_f64());
    }
}

/// A value that goes up and down.
#[derive(Debug, Clone)]
pub struct Gauge(prometheus::Gauge);

impl Gauge {
    /// A gauge that no registry knows, for tests and for commands without metrics.
    pub fn unregistered() -> Self {
        Gauge(prometheus::Gauge::new("unregistered", "of no registry").expect("a name"))
    }

    /// The value from now on.
    pub fn set(&self, value: f64) {
        self.0.set(value);
    }

    /// The value.
    pub fn get(&self) -> f64 {
        self.0.get()
    }
}

/// A distribution.
#[derive(Debug, Clone)]
pub struct Histogram(prometheus::Histogram);

impl Histogram {
    /// A histogram that no registry knows, for tests and for commands without metrics.
    pub fn unregistered() -> Self {
        Histogram(prometheus::Histogram::with_opts(HistogramOpts::new("unregistered", "of no registry")).expect("a name"))
    }

    /// Counts a value.
    pub fn observe(&self, value: f64) {
        self.0.observe(value);
    }

    /// Counts a span, in seconds.
    pub fn observe_span(&self, span: Duration) {
        self.0.observe(span.as_secs_f64());
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.0.get_sample_count()
    }

    /// Their sum.
    pub fn sum(&self) -> f64 {
        self.0.get_sample_sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_exported_from_the_start_and_gone_when_removed() {
        let registry = Registry::default();
        let family = registry.counters("frames_total", "Frames by outcome.", &["stream", "outcome"]);
        let explained = family.with(&["front", "explained"]);
        family.with(&["front", "held"]);
        explained.add(3);
        let text = registry.text();
        assert!(text.contains("# TYPE gradcast_frames_total counter"), "{text}");
        assert!(text.contains("gradcast_frames_total{outcome=\"explained\",stream=\"front\"} 3\n"), "{text}");
        assert!(text.contains("gradcast_frames_total{outcome=\"held\",stream=\"front\"} 0\n"), "{text}");
        family.remove(&["front", "explained"]);
        explained.inc();
        assert!(!registry.text().contains("explained"), "{}", registry.text());
    }

    #[test]
    fn histograms_have_the_edges_that_were_asked_for() {
        let registry = Registry::default();
        let family = registry.histograms("frame_latency_seconds", "Decoded to encoded.", &["stream"], &[0.033, 0.1]);
        let latency = family.with(&["front"]);
        latency.observe_span(Duration::from_millis(50));
        let text = registry.text();
        assert!(text.contains("gradcast_frame_latency_seconds_bucket{stream=\"front\",le=\"0.033\"} 0\n"), "{text}");
        assert!(text.contains("gradcast_frame_latency_seconds_bucket{stream=\"front\",le=\"0.1\"} 1\n"), "{text}");
        assert_eq!((latency.count(), latency.sum()), (1, 0.05));
    }
}
