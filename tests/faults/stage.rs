//! What the tests have in common: a small network, a stream that is disturbed and one beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cameras::{Camera, CameraSettings};
use crate::daemon::{Daemon, PATIENCE};
use crate::viewer::Viewer;

/// A network that explains a frame in no time, so that machines with other work keep up.
pub fn small_network() -> &'static Path {
    static NETWORK: OnceLock<PathBuf> = OnceLock::new();
    NETWORK.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults");
        fs::create_dir_all(&folder).unwrap();
        let seed = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/onnx_read/squeeze_fire.onnx");
        fs::copy(seed, folder.join("net.onnx")).unwrap();
        let manifest = "file = \"net.onnx\"\n[input]\ncolour = \"rgb\"\nmean = [0.5]\nstd = [0.5]\nfit = \"stretch\"\n";
        fs::write(folder.join("net.toml"), manifest).unwrap();
        folder.join("net.toml")
    })
}

/// The engine's table.
pub fn engine() -> String {
    format!("[engine]\nmodel = \"{}\"\nthreads = 1\n", small_network().display())
}

/// A test pattern of 160 columns at 10 frames a second, seen over RTSP.
pub fn test_stream(name: &str) -> String {
    format!(
        "[[stream]]\nname = \"{name}\"\nstall = \"1m\"\nsource = {{ kind = \"test\", pattern = \"smpte\", size = \"160x120\", fps = 10 }}\n\
         [[stream.sink]]\nkind = \"rtsp\"\n"
    )
}

/// Frames that a stream has shown.
pub fn shown(daemon: &Daemon, stream: &str) -> u64 {
    let frames = &daemon.state(stream)["frames"];
    ["explained", "held", "late"].iter().map(|key| frames[key].as_u64().unwrap()).sum()
}

/// Packets that a sink has not got so far.
pub fn lost(daemon: &Daemon, sink: &str, stream: &str) -> u64 {
    daemon.metric(&format!("sink_packets_dropped_total{{sink=\"{sink}\",stream=\"{stream}\"}}")).unwrap() as u64
}

/// How a sink of a stream is.
pub fn sink(daemon: &Daemon, stream: &str, name: &str) -> Value {
    let state = daemon.state(stream);
    state["sinks"].as_array().unwrap().iter().find(|sink| sink["name"] == name).cloned().unwrap_or_default()
}

/// Waits for something outside the daemon.
pub fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Who looks at a stream.
pub fn look_at(daemon: &Daemon, stream: &str) -> Viewer {
    Viewer::start(&format!("rtsp://127.0.0.1:{}/{stream}", daemon.rtsp_port.unwrap()))
}

/// So many frames more, with an explanation of their own.
pub fn wait_for_explained(daemon: &mut Daemon, stream: &str, more: u64) {
    let explained = |daemon: &Daemon| daemon.state(stream)["frames"]["explained"].as_u64().unwrap();
    let before = explained(daemon);
    daemon.wait_for(&format!("{more} explained frames of {stream}"), |daemon| explained(daemon) >= before + more);
}

/// Every decoded frame is accounted for, when no more come.
pub fn wait_for_balance(daemon: &mut Daemon, stream: &str) {
    daemon.wait_for("as many accounted for as decoded", |daemon| {
        let (decoded, accounted) = daemon.accounts(stream);
        assert!(accounted <= decoded, "{accounted} accounted for, and only {decoded} decoded");
        decoded == accounted
    });
    let metric = |series: String| daemon.metric(&series).unwrap();
    let decoded = metric(format!("frames_decoded_total{{stream=\"{stream}\"}}"));
    let outcomes = ["explained", "held", "late", "dropped"];
    let sum: f64 = outcomes.iter().map(|outcome| metric(format!("frames_total{{outcome=\"{outcome}\",stream=\"{stream}\"}}"))).sum();
    assert_eq!(decoded, sum, "and so say the metrics");
}

/// How often a source was tried again, by why.
pub fn retries(daemon: &Daemon, stream: &str, reason: &str) -> f64 {
    daemon.metric(&format!("stream_reconnects_total{{reason=\"{reason}\",stream=\"{stream}\"}}")).unwrap()
}

/// A stream that nothing is wrong with, and what it was when it began to be watched.
pub struct Bystander {
    stream: &'static str,
    before: Value,
    viewer: Viewer,
}

impl Bystander {
    pub fn watch(daemon: &mut Daemon, stream: &'static str) -> Self {
        daemon.wait_for_frames(stream, 2);
        let viewer = look_at(daemon, stream);
        viewer.sees(2);
        Bystander { stream, before: daemon.state(stream), viewer }
    }

    /// Its source was never interrupted, and its frames go on.
    pub fn noticed_nothing(&self, daemon: &mut Daemon) {
        daemon.wait_for_frames(self.stream, 3);
        self.viewer.sees(3);
        let now = daemon.state(self.stream);
        assert_eq!((&now["up"], &now["since_unix_seconds"]), (&Value::from("up"), &self.before["since_unix_seconds"]), "{now}");
        assert_eq!((&now["reconnects"], &now["last_error"]), (&self.before["reconnects"], &self.before["last_error"]), "{now}");
        for reason in ["disconnected", "caps_change", "shutdown"] {
            assert_eq!(now["frames"]["dropped"][reason], 0, "{now}");
        }
        assert_eq!(daemon.metric(&format!("stream_up{{stream=\"{}\"}}", self.stream)), Some(1.0));
    }
}

/// Two cameras and their streams: `yard`, which will be disturbed, and `gate`.
pub struct Scene {
    pub daemon: Daemon,
    pub camera: Camera,
    pub viewer: Viewer,
    pub gate: Bystander,
    _gate: Camera,
}

impl Scene {
    /// Both are up and looked at. Frames of `yard` are shown as they are, for the sake of who looks at colours.
    pub fn start(camera: CameraSettings) -> Scene {
        Scene::with(camera, "", "3s")
    }

    /// As [`Scene::start`], with more keys of the source, and how long it may be silent.
    pub fn with(camera: CameraSettings, more: &str, stall: &str) -> Scene {
        let camera = Camera::start(camera);
        let gate = Camera::start(CameraSettings { size_px: (160, 120), fps: 8, ..CameraSettings::default() });
        let streams = format!(
            "[[stream]]\nname = \"yard\"\nsource = {{ kind = \"rtsp\", url = \"{}\" {more} }}\nstall = \"{stall}\"\nopacity = 0\n\
             [[stream.sink]]\nkind = \"rtsp\"\n\
             [[stream]]\nname = \"gate\"\nsource = \"{}\"\nstall = \"1m\"\n[[stream.sink]]\nkind = \"rtsp\"\n",
            camera.url(),
            gate.url()
        );
        let mut daemon = Daemon::with(&engine(), &streams);
        daemon.wait_for_frames("yard", 3);
        let bystander = Bystander::watch(&mut daemon, "gate");
        let viewer = look_at(&daemon, "yard");
        viewer.sees(5);
        Scene { daemon, camera, viewer, gate: bystander, _gate: gate }
    }

    /// Waits until the source has been taken down; gives the words that are shown.
    pub fn wait_until_down(&mut self) -> String {
        self.daemon.wait_for("yard to be down", |daemon| daemon.state("yard")["up"] == "down");
        assert_eq!(self.daemon.metric("stream_up{stream=\"yard\"}"), Some(0.0));
        self.daemon.state("yard")["last_error"].as_str().expect("words").to_owned()
    }

    /// Waits until frames flow again, are explained, and are seen.
    pub fn wait_until_up(&mut self) {
        self.daemon.wait_for("yard to be up", |daemon| daemon.is_up("yard"));
        assert_eq!(self.daemon.metric("stream_up{stream=\"yard\"}"), Some(1.0));
        wait_for_explained(&mut self.daemon, "yard", 5);
        self.viewer.sees(5);
    }
}
