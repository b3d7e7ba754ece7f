//! Metrics for Prometheus and the log. Components register their own families here and resolve labels once; what they then touch is an
//! atomic, so that a scrape takes no lock that a pipeline holds.

pub mod log;
mod registry;
mod seldom;

pub use registry::{
    Counter, CounterFamily, Gauge, GaugeFamily, Histogram, HistogramFamily, Registry, SecondsCounter, SecondsCounterFamily, Snapshot,
};
pub use seldom::{LeftOut, Seldom};
