//! What the user sets of live sources and outputs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use bytes::Bytes;

use crate::frame::PixelFormat;
use crate::secret::Secret;

/// Where frames come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A camera or server that speaks RTSP.
    Rtsp(RtspInput),
    /// A camera at this machine, by V4L2.
    Device(DeviceInput),
    /// A recorded file.
    File(FileInput),
    /// HTTP, HLS, RTMP and whatever else GStreamer reads by its URI.
    Uri(UriInput),
    /// MPEG-TS over SRT.
    Srt(SrtInput),
    /// MPEG-TS over UDP, to one or to many.
    Udp(UdpInput),
    /// A moving test pattern.
    Test(TestInput),
    /// A GStreamer text that ends in decoded or encoded video.
    Text(String),
}

/// How RTP comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// Interleaved in the RTSP connection.
    #[default]
    Tcp,
    /// In datagrams.
    Udp,
    /// Datagrams, and TCP where none come.
    Auto,
}

/// See [`Input::Rtsp`].
#[derive(Debug, Clone, PartialEq)]
pub struct RtspInput {
    /// rtsp:// or rtsps://, without credentials.
    pub url: String,
    /// How RTP comes.
    pub transport: Transport,
    /// Who asks.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
    /// The jitter buffer.
    pub latency: Duration,
}

/// See [`Input::Device`].
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceInput {
    /// The device's file.
    pub path: PathBuf,
    /// Columns and rows that are asked for.
    pub size_px: Option<(u32, u32)>,
    /// Frames a second that are asked for.
    pub fps: Option<u32>,
}

/// See [`Input::File`].
#[derive(Debug, Clone, PartialEq)]
pub struct FileInput {
    /// The file.
    pub path: PathBuf,
    /// From the beginning again at its end.
    pub repeat: bool,
    /// Frames come when their times say; otherwise as fast as they are taken.
    pub real_time: bool,
}

/// See [`Input::Uri`].
#[derive(Debug, Clone, PartialEq)]
pub struct UriInput {
    /// The URI, without credentials.
    pub uri: String,
    /// Who asks, where the protocol has users.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
}

/// See [`Input::Srt`].
#[derive(Debug, Clone, PartialEq)]
pub struct SrtInput {
    /// srt://HOST:PORT, with options of libsrt behind `?` but for the passphrase.
    pub uri: String,
    /// Of an encrypted stream.
    pub passphrase: Option<Secret>,
    /// SRT's buffer.
    pub latency: Duration,
}

/// See [`Input::Udp`].
#[derive(Debug, Clone, PartialEq)]
pub struct UdpInput {
    /// Where datagrams come in; the address may be a multicast group's.
    pub listen: SocketAddr,
}

/// See [`Input::Test`].
#[derive(Debug, Clone, PartialEq)]
pub struct TestInput {
    /// As videotestsrc names it.
    pub pattern: String,
    /// Columns and rows.
    pub size_px: (u32, u32),
    /// Frames a second.
    pub fps: u32,
}

/// One attempt to get frames.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceSettings {
    /// Where they come from.
    pub input: Input,
    /// The layouts that frames may come in; video in another one is converted to the nearest of them.
    pub formats: Vec<PixelFormat>,
    /// Frames that wait to be taken are never thrown away; the decoder waits instead.
    pub lossless: bool,
    /// A folder whose pipeline files go before those that are built in.
    pub pipelines: Option<PathBuf>,
}

/// What is made of a stream's frames.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputSettings {
    /// The encoder's element; `None` for the first of the usual ones that works here.
    pub encoder: Option<String>,
    /// Of the encoded video.
    pub bitrate_kbps: u32,
    /// A key frame comes at least so often.
    pub key_interval: Duration,
    /// Frames that wait for the encoder are never thrown away; who pushes waits instead.
    pub lossless: bool,
    /// Who gets the packets.
    pub sinks: Vec<SinkSettings>,
    /// Small pictures for a page.
    pub preview: Option<Preview>,
    /// A folder whose pipeline files go before those that are built in.
    pub pipelines: Option<PathBuf>,
}

/// One reader of a stream's packets.
#[derive(Debug, Clone, PartialEq)]
pub struct SinkSettings {
    /// What states and logs call it; unlike all others of its stream.
    pub name: String,
    /// What it is.
    pub kind: SinkKind,
}

/// What a sink is.
#[derive(Debug, Clone, PartialEq)]
pub enum SinkKind {
    /// Our own RTSP server, at rtsp://HOST:PORT/PATH; many viewers.
    Rtsp {
        /// Without the slash.
        path: String,
    },
    /// Somebody else's server.
    Push(Push),
    /// MP4 files of so long each.
    Segments(Segments),
    /// A playlist and its segments, for any web server.
    Hls(Segments),
    /// A loopback device of V4L2, raw.
    Device(PathBuf),
    /// One file, whole: MP4, written until the stream ends.
    File(PathBuf),
    /// A GStreamer text that takes H.264 at its open end.
    Text(String),
}

/// See [`SinkKind::Push`].
#[derive(Debug, Clone, PartialEq)]
pub struct Push {
    /// rtsp://, rtmp:// or srt://, without credentials.
    pub url: String,
    /// Who pushes.
    pub user: Option<String>,
    /// Its password, or SRT's passphrase.
    pub password: Option<Secret>,
}

/// See [`SinkKind::Segments`].
#[derive(Debug, Clone, PartialEq)]
pub struct Segments {
    /// Where the files are written; it is made where it is not there.
    pub folder: PathBuf,
    /// A file is closed at the first key frame after so long.
    pub every: Duration,
    /// Older files are removed.
    pub keep_for: Option<Duration>,
    /// The oldest files are removed while there are more bytes than this.
    pub keep_bytes: Option<u64>,
}

/// JPEG pictures of an output for those who look at a page; made only while somebody does.
#[derive(Clone)]
pub struct Preview {
    /// Pictures a second at most.
    pub fps: u32,
    /// Columns at most.
    pub width_px: u32,
    /// How many look.
    pub viewers: Arc<AtomicUsize>,
    /// Takes each picture; must not wait.
    pub deliver: Arc<dyn Fn(Bytes) + Send + Sync>,
}

/// Whether it is the same preview, with the same viewers.
impl PartialEq for Preview {
    fn eq(&self, other: &Self) -> bool {
        (self.fps, self.width_px) == (other.fps, other.width_px) && Arc::ptr_eq(&self.viewers, &other.viewers)
    }
}

impl std::fmt::Debug for Preview {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Preview").field("fps", &self.fps).field("width_px", &self.width_px).finish_non_exhaustive()
    }
}

/// Our own RTSP server.
#[derive(Debug, Clone, PartialEq)]
pub struct RtspServerSettings {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Viewers have to give this name, where there is one,
    pub user: Option<String>,
    /// and this password.
    pub password: Option<Secret>,
}

/// An encoder that works on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picked {
    /// Its element.
    pub element: String,
    /// The layouts that it takes.
    pub formats: Vec<PixelFormat>,
}
