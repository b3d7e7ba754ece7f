//! One live stream's life: frames in, explained in time or shown with the last explanation, and out again whatever happens to the source.

mod backoff;
mod canvas;
mod line;
mod meters;
mod pacer;
mod settings;
mod timeline;

pub use meters::{Families, Meters, Outcome, Reason, Retry, SinkMeters};
pub use settings::{Aim, Look, Settings};
