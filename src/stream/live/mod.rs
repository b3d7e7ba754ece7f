//! One live stream's life: frames in, explained in time or shown with the last explanation, and out again whatever happens to the source.

mod settings;

pub use settings::{Aim, Look, Settings};
