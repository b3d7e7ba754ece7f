//! The daemon, its cameras and its viewers.

use std::any::Any;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::cameras::{Camera, CameraSettings};
use super::daemon::Daemon;
use super::ledger::{Account, Drops, account_of};
use super::process::{Reading, reading};
use super::viewers::Viewers;
use super::watch::Watch;

/// All streams; the last one comes and goes over HTTP.
pub const STREAMS: [&str; 4] = ["front", "back", "film", "guest"];
/// How long somebody who does not read is left alone.
const PATIENT: Duration = Duration::from_secs(30);
/// Descriptors and threads that may be there besides when all has calmed down: pools of GLib and tokio keep some for a while.
const SLACK: usize = 8;

pub struct Stage {
    pub daemon: Daemon,
    pub front: Camera,
    pub back: Camera,
    pub watch: Watch,
    pub viewers: Viewers,
    max_fps: f64,
    /// Times that a part was done, so that it is done differently the next time.
    pub turns: usize,
    /// Who stopped reading, and when.
    stuck: Vec<(Instant, Box<dyn Any>)>,
    drops: Drops,
    /// When all were there for the first time.
    calm: Reading,
}

/// What is left when all is over.
pub struct Ended {
    pub accounts: Vec<Account>,
    pub drops: Drops,
    pub viewers: Vec<(String, u64, u64)>,
    pub slowest_answer: Duration,
    pub calm: Reading,
    pub calm_again: Reading,
}

/// How a stream stands.
pub struct Standing {
    pub shown: u64,
    pub reconnects: u64,
}

pub fn standing(daemon: &Daemon, stream: &str) -> Standing {
    let state = daemon.state(stream);
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    let shown = ["explained", "held", "late"].iter().map(|key| count(&state["frames"][*key])).sum();
    Standing { shown, reconnects: count(&state["reconnects"]) }
}

/// The file's streams, of which `film` is changed by reloads.
fn streams(front: &Camera, back: &Camera, max_fps: f64, opacity: f64) -> String {
    let film = Path::new(env!("CARGO_MANIFEST_DIR")).join("media/demo_clip.mp4");
    let sinks = |name: &str| {
        format!(
            "[[stream.sink]]\nkind = \"rtsp\"\n[[stream.sink]]\nkind = \"segments\"\nfolder = \"{{folder}}/{name}\"\nevery = \"5s\"\n\
             keep_bytes = \"4MB\"\n\n"
        )
    };
    let camera = |name: &str, camera: &Camera, every: usize| {
        format!("[[stream]]\nname = \"{name}\"\nsource = \"{}\"\nevery = {every}\nmax_fps = {max_fps}\n{}", camera.url(), sinks(name))
    };
    let film = format!(
        "[[stream]]\nname = \"film\"\nsource = {{ kind = \"file\", path = \"{}\", repeat = true }}\nsize = \"320x180\"\nmax_fps = {max_fps}\n\
         opacity = {opacity}\n{}",
        film.display(),
        sinks("film")
    );
    camera("front", front, 1) + &camera("back", back, 2) + &film
}

impl Stage {
    /// Starts all, and waits until every stream has frames and every viewer sees them. `max_fps`: explained frames a second of each.
    pub fn set_up(max_fps: f64) -> Stage {
        let camera = |pattern| Camera::start(CameraSettings { size_px: (320, 240), fps: 10, pattern, ..CameraSettings::default() });
        let (front, back) = (camera("ball"), camera("smpte"));
        let daemon = Daemon::start(&streams(&front, &back, max_fps, 0.6));
        let viewers = Viewers::start(daemon.http_port, daemon.rtsp_port.expect("it serves RTSP"));
        let watch = Watch::start(daemon.pid(), daemon.http_port);
        let calm = reading(daemon.pid());
        let (drops, stuck) = (Drops::default(), Vec::new());
        let mut stage = Stage { daemon, front, back, watch, viewers, max_fps, turns: 0, stuck, drops, calm };
        stage.add_guest();
        for stream in STREAMS {
            stage.daemon.wait_for_frames(stream, 5);
        }
        stage.viewers_see_on();
        stage.calm = reading(stage.daemon.pid());
        stage
    }

    pub fn add_guest(&mut self) {
        let source = json!({ "kind": "test", "pattern": "pinwheel", "size": "320x240", "fps": 5 });
        let folder = self.daemon.path("guest").display().to_string();
        let sinks = json!(["rtsp", { "kind": "segments", "folder": folder, "every": "5s", "keep_bytes": "4MB" }]);
        let added =
            self.daemon.post("/api/v1/streams", &json!({ "name": "guest", "source": source, "max_fps": self.max_fps, "sink": sinks }));
        assert_eq!(added.status, 201, "{}", added.body);
    }

    /// Notes what a stream dropped before its numbers go with it.
    pub fn note_drops(&mut self, stream: &str) {
        self.drops.add(&self.daemon.state(stream));
    }

    pub fn rewrite(&self, opacity: f64) {
        self.daemon.rewrite("", &streams(&self.front, &self.back, self.max_fps, opacity));
    }

    pub fn rewrite_wrong(&self) {
        self.daemon.rewrite("", &streams(&self.front, &self.back, self.max_fps, 0.6).replace("max_fps", "max_fsp"));
    }

    pub fn standing(&self, stream: &str) -> Standing {
        standing(&self.daemon, stream)
    }

    /// How long it takes until frames of a stream flow.
    pub fn flows_again(&mut self, stream: &str) -> Duration {
        let start = Instant::now();
        self.daemon.wait_for(&format!("{stream} up"), |daemon| daemon.is_up(stream));
        self.daemon.wait_for_frames(stream, 5);
        start.elapsed()
    }

    pub fn wait_until_down(&mut self, stream: &str) {
        self.daemon.wait_for(&format!("{stream} down"), |daemon| !daemon.is_up(stream));
    }

    /// Every viewer gets more than it has.
    pub fn viewers_see_on(&mut self) {
        let before = self.viewers.counts();
        let viewers = &self.viewers;
        self.daemon
            .wait_for("something new at every viewer", |_| viewers.counts().iter().zip(&before).all(|(now, before)| now.1 > before.1));
    }

    /// Keeps somebody who does not read.
    pub fn keep(&mut self, who: impl Any) {
        self.stuck.push((Instant::now(), Box::new(who)));
    }

    /// Fails where the watch has found something; lets go of those who have been kept long enough.
    pub fn check(&mut self) {
        self.stuck.retain(|(since, _)| since.elapsed() < PATIENT);
        self.watch.check();
    }

    /// Waits until all is as it was in the beginning, and ends it.
    pub fn end(mut self) -> Ended {
        self.stuck.clear();
        for stream in STREAMS {
            self.flows_again(stream);
        }
        self.viewers_see_on();
        let (pid, calm) = (self.daemon.pid(), self.calm);
        let mut calm_again = calm;
        self.daemon.wait_for("as few descriptors and threads as in the beginning", |_| {
            calm_again = reading(pid);
            calm_again.descriptors <= calm.descriptors + SLACK && calm_again.threads <= calm.threads + SLACK
        });
        assert_eq!(self.daemon.metric("pipeline_stuck_total"), Some(0.0));
        for stream in STREAMS {
            self.note_drops(stream);
        }
        let (viewers, slowest_answer) = (self.viewers.end(), self.watch.end());
        let status = self.daemon.end(libc::SIGTERM);
        assert_eq!(status.code(), Some(0), "{}", self.daemon.log().join("\n"));
        let works = |line: &&String| line.contains("sink works") && line.contains("stream=film") && line.contains("sink=segments");
        assert_eq!(self.daemon.log().iter().filter(works).count(), 1, "nothing ever happened to this sink");
        let accounts: Vec<Account> = self.daemon.log().iter().filter_map(|line| account_of(line)).collect();
        for stream in STREAMS {
            assert!(accounts.iter().any(|account| account.stream == stream), "no account of {stream}");
        }
        Ended { accounts, drops: self.drops, viewers, slowest_answer, calm, calm_again }
    }
}
