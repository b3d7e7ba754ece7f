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
                $series::from(self.0.with_label_values(labels))
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
pub struct Counter(IntCounter, Option<Box<Counter>>);

impl Counter {
    /// A counter that no registry knows, for tests and for commands without metrics.
    pub fn unregistered() -> Self {
        Counter(IntCounter::new("unregistered", "of no registry").expect("a name"), None)
    }

    /// This counter and another at once: an event that is of a kind and of a sum. What is read is this one.
    pub fn with(self, other: &Counter) -> Self {
        Counter(self.0, Some(Box::new(other.clone())))
    }

    /// One more.
    pub fn inc(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, count: u64) {
        self.0.inc_by(count);
        if let Some(other) = &self.1 {
            other.add(count);
        }
    }

    /// So far.
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

impl From<IntCounter> for Counter {
    fn from(own: IntCounter) -> Self {
        Counter(own, None)
    }
}

/// A sum of seconds.
#[derive(Debug, Clone)]
pub struct SecondsCounter(prometheus::Counter);

impl From<prometheus::Counter> for SecondsCounter {
    fn from(own: prometheus::Counter) -> Self {
        SecondsCounter(own)
    }
}

impl SecondsCounter {
    /// Adds a span.
    pub fn add(&self, span: Duration) {
        self.0.inc_by(span.as_secs_f64());
    }
}

/// A value that goes up and down.
#[derive(Debug, Clone)]
pub struct Gauge(prometheus::Gauge);

impl From<prometheus::Gauge> for Gauge {
    fn from(own: prometheus::Gauge) -> Self {
        Gauge(own)
    }
}

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

impl From<prometheus::Histogram> for Histogram {
    fn from(own: prometheus::Histogram) -> Self {
        Histogram(own)
    }
}

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

    /// What was counted so far, to compare a later time with.
    pub fn snapshot(&self) -> Snapshot {
        let metric = prometheus::core::Metric::metric(&self.0);
        let buckets = metric.get_histogram().get_bucket();
        Snapshot { edges: buckets.iter().map(|bucket| (bucket.upper_bound(), bucket.cumulative_count())).collect(), count: self.count() }
    }
}

/// A histogram at a time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// Upper edges and how many values are not above them.
    edges: Vec<(f64, u64)>,
    count: u64,
}

impl Snapshot {
    /// The value that a share `q` of those counted since `before` do not pass, as Prometheus' histogram_quantile makes it: linear inside a
    /// bucket; the last edge where it lies above all. `None` where nothing was counted.
    pub fn quantile_since(&self, before: &Snapshot, q: f64) -> Option<f64> {
        let new = |at: usize| self.edges[at].1 - before.edges.get(at).map_or(0, |&(_, count)| count);
        let count = self.count - before.count;
        if count == 0 {
            return None;
        }
        let rank = q * count as f64;
        let Some(at) = (0..self.edges.len()).find(|&at| new(at) as f64 >= rank) else { return self.edges.last().map(|&(edge, _)| edge) };
        let (low, below) = if at == 0 { (0.0, 0) } else { (self.edges[at - 1].0, new(at - 1)) };
        let inside = (new(at) - below).max(1) as f64;
        Some(low + (self.edges[at].0 - low) * ((rank - below as f64) / inside).clamp(0.0, 1.0))
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

    #[test]
    fn an_event_may_count_in_a_sum_too() {
        let family = Registry::default().counters("x_total", "X.", &["of"]);
        let (kind, sum) = (family.with(&["kind"]), family.with(&["sum"]));
        kind.clone().with(&sum).add(2);
        sum.inc();
        assert_eq!((kind.get(), sum.get()), (2, 3));
    }

    #[test]
    fn quantiles_are_those_of_what_was_counted_in_between() {
        let family = Registry::default().histograms("x_seconds", "X.", &[], &[0.1, 0.2, 0.4]);
        let histogram = family.with(&[]);
        (0..100).for_each(|_| histogram.observe(0.05));
        let before = histogram.snapshot();
        assert_eq!(before.quantile_since(&before, 0.5), None);
        (0..10).for_each(|at| histogram.observe(if at < 5 { 0.15 } else { 0.3 }));
        let after = histogram.snapshot();
        let near = |value: Option<f64>, wanted: f64| assert!((value.expect("counted") - wanted).abs() < 1e-9, "{value:?} for {wanted}");
        near(after.quantile_since(&before, 0.5), 0.2);
        near(after.quantile_since(&before, 0.75), 0.3);
        histogram.observe(7.0);
        near(histogram.snapshot().quantile_since(&after, 0.99), 0.4);
    }
}
