//! What a service is told, and who tells it anew.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::engine;
use crate::network::structure::Network;
use crate::secret::Secret;
use crate::stream::live;
use crate::video::live::RtspServerSettings;

/// Everything that a service needs to start.
pub struct Settings {
    /// What explains.
    pub network: Arc<Network>,
    /// How it computes.
    pub engine: engine::Settings,
    /// Frames of all streams that are computed together, at most.
    pub max_batch: usize,
    /// How long the oldest frame of a batch waits for others.
    pub max_wait: Duration,
    /// Labels by index.
    pub labels: Vec<String>,
    /// The page, the metrics and the API.
    pub http: HttpSettings,
    /// Our own RTSP server, where a stream has a sink there.
    pub rtsp: Option<RtspServerSettings>,
    /// The streams, in the order of the file.
    pub streams: Vec<live::Settings>,
}

/// See [`Settings::http`].
#[derive(Debug, Clone, PartialEq)]
pub struct HttpSettings {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// With one, all but health needs it: `Authorization: Bearer TOKEN`, or the cookie that the page sets.
    pub token: Option<Secret>,
}

/// All that is wrong, not only the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(pub Vec<String>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

/// Where settings come from: a file, which is read again on a reload, and documents of one stream, which come over HTTP.
pub trait Configuration: Send + Sync {
    /// Reads the file again, whole, and checks it. Streams only: what else has changed is named in the second part and holds from the next
    /// start on.
    ///
    /// # Errors
    /// All that is wrong.
    fn reload(&self) -> Result<(Vec<live::Settings>, Vec<String>), Faults>;

    /// The settings of one stream from a document with the keys of `[[stream]]`.
    ///
    /// # Errors
    /// All that is wrong.
    fn stream(&self, document: &Value) -> Result<live::Settings, Faults>;

    /// The document of a running stream with some keys changed: `{"opacity": 0.4}`.
    ///
    /// # Errors
    /// All that is wrong.
    fn change(&self, current: &live::Settings, changes: &Value) -> Result<live::Settings, Faults>;

    /// Whether streams can run side by side: no two have one path of the RTSP server, one folder, one camera.
    ///
    /// # Errors
    /// Who has what already.
    fn together(&self, streams: &[&live::Settings]) -> Result<(), Faults>;

    /// The document of a stream, with every key; secrets left out.
    fn document(&self, settings: &live::Settings) -> Value;
}
