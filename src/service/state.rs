//! How streams fare, as the API and the page show it.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// How a stream fares.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct StreamState {
    /// Its name.
    pub name: String,
    /// The source, without credentials.
    pub source: String,
    /// Whether frames come.
    pub up: Up,
    /// In words what is wrong or was wrong last.
    pub last_error: Option<String>,
    /// Since when the source has been as it is, in seconds since 1970.
    pub since_unix_seconds: f64,
    /// When the last frame was decoded, in seconds since 1970.
    pub last_frame_unix_seconds: Option<f64>,
    /// Columns and rows of the output.
    pub size_px: Option<(usize, usize)>,
    /// Frames decoded a second, over the last seconds.
    pub decoded_fps: f64,
    /// Frames explained a second, over the last seconds.
    pub explained_fps: f64,
    /// Since the stream was added.
    pub frames: Outcomes,
    /// From decoded to encoded.
    pub latency: Option<Latency>,
    /// How often the source was tried again.
    pub reconnects: u64,
    /// Of the last explained frame.
    pub last_residual: Option<f32>,
    /// Of the last explained frame: what is explained, in words.
    pub target_label: Option<String>,
    /// Its probability.
    pub target_probability: Option<f32>,
    /// What may be changed while the stream runs.
    pub look: Look,
    /// The encoder's element.
    pub encoder: Option<String>,
    /// Who gets the packets.
    pub sinks: Vec<SinkState>,
    /// Every key of its configuration, without secrets.
    #[schema(value_type = Object)]
    pub configuration: Value,
}

/// Whether frames come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Up {
    /// The first connection is being made.
    Starting,
    /// Frames come.
    Up,
    /// None come; the source is tried again.
    Down,
    /// A file has come to its end.
    Ended,
}

/// What became of a stream's frames.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Outcomes {
    /// All that were decoded.
    pub decoded: u64,
    /// Shown with their own explanation.
    pub explained: u64,
    /// Shown with the last explanation, as `every` and `max_fps` want it.
    pub held: u64,
    /// Shown with the last explanation, since their own did not come in time.
    pub late: u64,
    /// Not shown, by reason.
    pub dropped: std::collections::BTreeMap<String, u64>,
}

/// Quantiles over the last seconds, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct Latency {
    /// Half of the frames are faster.
    pub p50: f64,
    /// 99 of a hundred are faster.
    pub p99: f64,
}

/// How a stream explains and looks: what may be changed while it runs.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Look {
    /// 0 to 1.
    pub opacity: f32,
    /// Its name.
    pub colour_map: String,
    /// As it is written: `argmax`, `hold:0.5`, a label…
    pub target: String,
    /// Its name.
    pub method: String,
}

/// How one sink fares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SinkState {
    /// Its name.
    pub name: String,
    /// rtsp, push, segments, hls, v4l2, file, gstreamer.
    pub kind: String,
    /// Whether it takes packets.
    pub up: bool,
    /// How many watch, where that is known.
    pub viewers: Option<usize>,
    /// What was wrong last.
    pub last_error: Option<String>,
}

/// Whether the service can be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Readiness {
    /// Models loaded, engine turning, configuration in force.
    pub ready: bool,
    /// Otherwise why not.
    pub why: Option<String>,
}
