//! Video in and out: frames from a file or URI, frames to a file, and everything about time, order and caps between them.
//!
//! The only module that knows GStreamer. [`Source`] decodes; [`Sink`] encodes, muxes and renames; an [`AudioTrack`] goes from one to the
//! other untouched. Pipelines are texts in `pipelines/`, built into the binary. Frames go out as they came in: none is dropped or
//! invented, and their times are relative to the first frame.

mod audio;
mod bitstream;
mod caps;
mod container;
mod decoded;
mod durations;
mod encoder;
pub mod inventory;
mod launch;
pub mod live;
mod losses;
mod output;
mod sink;
mod source;
mod streams;
mod watch;

use std::sync::OnceLock;

use gst::prelude::*;

pub use audio::{AudioInfo, AudioMode, AudioTrack};
pub use decoded::DecodedFrame;
pub use launch::debian_package;
pub use losses::Losses;
pub use output::{OutputFrame, part_path};
pub use sink::{Finished, Sink, SinkSettings};
pub use source::{Source, SourceInfo, SourceSettings};

use crate::error::{Error, Result};

/// Starts GStreamer, once for the process; later calls return what the first one found.
///
/// # Errors
/// [`Kind::Runtime`](crate::error::Kind::Runtime) where GStreamer cannot start.
pub fn init() -> Result<()> {
    static STARTED: OnceLock<Result<(), String>> = OnceLock::new();
    let started = STARTED.get_or_init(|| {
        gst::init().map_err(|error| error.to_string())?;
        // WebM with an AlphaMode tag does not come through this bin in 1.22, and a map has no use for alpha.
        for name in ["vp9alphadecodebin", "vp8alphadecodebin"] {
            if let Some(factory) = gst::ElementFactory::find(name) {
                factory.set_rank(gst::Rank::NONE);
            }
        }
        losses::listen_to_libav();
        Ok(())
    });
    started.clone().map_err(|error| Error::runtime(format!("GStreamer does not start: {error}")))
}

/// Sends what GLib and GStreamer have to complain of in their own code to the log, where it otherwise stands on stderr between our lines:
/// 1.22's rtspsrc does so whenever a server ends. For programs that run for long and have a log.
fn log_glib() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        gst::glib::log_set_default_handler(|domain, level, message| {
            tracing::debug!(domain = domain.unwrap_or_default(), "{level:?}: {message}");
        });
    });
}

/// Whether an element of this name is installed.
pub fn has_element(name: &str) -> bool {
    init().is_ok() && gst::ElementFactory::find(name).is_some()
}

/// The version of GStreamer that runs.
pub fn version() -> String {
    gst::version_string().to_string()
}
