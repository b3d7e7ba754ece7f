//! A daemon as an operator runs it: the program with a configuration, watched through HTTP and its log.
#![allow(dead_code, clippy::unwrap_used)] // each test binary uses its part

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything may take on a machine that is busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A running daemon; ended when it is dropped.
pub struct Daemon {
    child: Child,
    folder: tempfile::TempDir,
    log: Arc<Mutex<Vec<String>>>,
    pub http_port: u16,
    pub rtsp_port: Option<u16>,
    /// With which every request is made.
    pub token: Option<String>,
}

/// An answer of the API.
pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

impl Daemon {
    /// Starts with free ports and these streams, in a folder of its own, `{folder}` in the text; and waits until it is ready.
    pub fn start(streams: &str) -> Daemon {
        Daemon::with("", streams)
    }

    /// As [`Daemon::start`], with tables before the streams.
    pub fn with(tables: &str, streams: &str) -> Daemon {
        let mut daemon = Daemon::launch(tables, streams, |_| {});
        daemon.wait_for("ready", |daemon| daemon.get("/-/ready").status == 200);
        daemon
    }

    /// Starts and waits only for the ports.
    pub fn launch(tables: &str, streams: &str, prepare: impl FnOnce(&mut Command)) -> Daemon {
        let folder = tempfile::tempdir().expect("a folder");
        write_configuration(folder.path(), tables, streams);
        let mut command = Command::new(program());
        command.arg("run").arg("--config").arg(folder.path().join("gradcast.toml"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.env("GRADCAST_MODELS", Path::new(env!("CARGO_MANIFEST_DIR")).join("models")).env("NO_COLOR", "1");
        prepare(&mut command);
        let mut child = command.spawn().expect("the daemon");
        let log = Arc::new(Mutex::new(Vec::new()));
        let (lines, writes) = (BufReader::new(child.stderr.take().expect("piped")).lines(), Arc::clone(&log));
        thread::spawn(move || lines.map_while(Result::ok).for_each(|line| writes.lock().unwrap().push(line)));
        let mut daemon = Daemon { child, folder, log, http_port: 0, rtsp_port: None, token: None };
        daemon.wait_for("listening", |daemon| daemon.logged(" listening "));
        let line = daemon.log().into_iter().find(|line| line.contains(" listening ")).expect("it is there");
        let number = |key: &str| -> Option<u16> {
            let rest = &line[line.find(key)? + key.len()..];
            rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        };
        daemon.http_port = number("http=127.0.0.1:").unwrap_or_else(|| panic!("no port in {line}"));
        daemon.rtsp_port = number("rtsp_port=");
        daemon
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Another configuration, for a reload.
    pub fn rewrite(&self, tables: &str, streams: &str) {
        write_configuration(self.folder.path(), tables, streams);
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: kill only sends a signal, to a child that has not been waited for.
        let sent = unsafe { libc::kill(self.child.id() as i32, signal) };
        assert_eq!(sent, 0, "signal {signal}");
    }

    /// Ends it by a signal, and waits.
    pub fn end(&mut self, signal: i32) -> ExitStatus {
        self.signal(signal);
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "it does not end:\n{}", self.log().join("\n"));
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    pub fn logged(&self, text: &str) -> bool {
        self.log.lock().unwrap().iter().any(|line| line.contains(text))
    }

    /// Waits until something is so.
    pub fn wait_for(&mut self, what: &str, mut is_so: impl FnMut(&Daemon) -> bool) {
        let start = Instant::now();
        while !is_so(self) {
            if let Some(status) = self.child.try_wait().expect("a child") {
                panic!("waiting for {what}: the daemon ended with {status}:\n{}", self.log().join("\n"));
            }
            assert!(start.elapsed() < PATIENCE, "waited in vain for {what}:\n{}\n{}", self.log().join("\n"), self.summary());
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn summary(&self) -> String {
        let text = self.get("/metrics").body;
        let of_interest = |line: &&str| !line.starts_with('#') && !line.contains("_bucket") && !line.ends_with(" 0");
        text.lines().filter(of_interest).collect::<Vec<_>>().join("\n")
    }

    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, None)
    }

    pub fn post(&self, path: &str, document: &Value) -> Answer {
        self.request("POST", path, Some(document))
    }

    pub fn patch(&self, path: &str, document: &Value) -> Answer {
        self.request("PATCH", path, Some(document))
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.request("DELETE", path, None)
    }

    /// Status 0 where nobody answers.
    fn request(&self, method: &str, path: &str, document: Option<&Value>) -> Answer {
        let settings = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
        let agent: ureq::Agent = settings.build().into();
        let mut request = ureq::http::Request::builder().method(method).uri(format!("http://127.0.0.1:{}{path}", self.http_port));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let answer = match document {
            Some(document) => agent.run(request.header("content-type", "application/json").body(document.to_string()).expect("a request")),
            None => agent.run(request.body(()).expect("a request")),
        };
        match answer {
            Ok(mut answer) => Answer { status: answer.status().as_u16(), body: answer.body_mut().read_to_string().unwrap_or_default() },
            Err(_) => Answer { status: 0, body: String::new() },
        }
    }

    /// The state of a stream.
    pub fn state(&self, stream: &str) -> Value {
        self.get(&format!("/api/v1/streams/{stream}")).json()
    }

    pub fn is_up(&self, stream: &str) -> bool {
        self.state(stream)["up"] == "up"
    }

    /// A series of a scrape, by its name without the prefix and its labels in alphabetical order.
    pub fn metric(&self, series: &str) -> Option<f64> {
        let line = format!("gradcast_{series} ");
        self.get("/metrics").body.lines().find_map(|found| found.strip_prefix(&line)?.parse().ok())
    }

    /// Decoded frames, and those that are accounted for: explained, held, late and dropped by reason.
    pub fn accounts(&self, stream: &str) -> (u64, u64) {
        let frames = &self.state(stream)["frames"];
        let count = |key: &str| frames[key].as_u64().expect("a count");
        let dropped: u64 = frames["dropped"].as_object().expect("reasons").values().map(|count| count.as_u64().expect("a count")).sum();
        (count("decoded"), count("explained") + count("held") + count("late") + dropped)
    }

    /// Waits until the stream has shown so many frames more with the outcomes of a living stream.
    pub fn wait_for_frames(&mut self, stream: &str, more: u64) {
        let shown = |daemon: &Daemon| {
            let frames = &daemon.state(stream)["frames"];
            ["explained", "held", "late"].iter().map(|key| frames[key].as_u64().unwrap_or(0)).sum::<u64>()
        };
        let before = shown(self);
        self.wait_for(&format!("{more} frames of {stream}"), |daemon| shown(daemon) >= before + more);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("the daemon's log:\n{}", self.log().join("\n"));
        }
    }
}

/// The program that was built with this test, unless another build of it is asked for.
fn program() -> PathBuf {
    std::env::var_os("GRADCAST_PROGRAM").map_or_else(|| env!("CARGO_BIN_EXE_gradcast").into(), PathBuf::from)
}

fn write_configuration(folder: &Path, tables: &str, streams: &str) {
    let mut text = String::new();
    if !tables.contains("[http]") {
        text += "[http]\nlisten = \"127.0.0.1:0\"\n";
    }
    if !tables.contains("[rtsp]") {
        text += "[rtsp]\nlisten = \"127.0.0.1:0\"\n";
    }
    text += tables;
    text += "\n";
    text += streams;
    let text = text.replace("{folder}", &folder.display().to_string());
    fs::write(folder.join("gradcast.toml"), text).expect("a configuration");
}
