//! GStreamer: the only place that knows it.

pub mod inventory;
