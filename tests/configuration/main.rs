//! gradcast.toml and the documents of the API: what is read, what is refused in which words, and that no secret is ever shown.

#![allow(clippy::unwrap_used)]

mod change;
mod document;
#[path = "../onnx_files/mod.rs"]
mod onnx_files;
mod reference;
mod wrong;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use gradcast::config::{self, Opened};
use gradcast::error::Error;
use gradcast::video::live::SinkKind;
use onnx_files::{chain, node, value};

/// What is in every file of a secret here.
const SECRET: &str = "hunter2";

/// A folder with a network of the classes red, green and blue, and a file with a secret.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Place { folder };
        let nodes = [node("GlobalAveragePool", "", &["x"], "means"), node("Flatten", "", &["means"], "scores")];
        fs::write(place.path("net.onnx"), chain(&nodes, &[value("x", 1, &[1, 3, 16, 16])], &["scores"])).unwrap();
        fs::write(place.path("labels.txt"), "red\ngreen\nblue\n").unwrap();
        let manifest =
            "file = 'net.onnx'\n[input]\ncolour = 'rgb'\nmean = [0]\nstd = [1]\n[output]\nlabels = 'labels.txt'\ntarget = 'hold:0.5'\n";
        fs::write(place.path("net.toml"), manifest).unwrap();
        place.secret("secret", 0o600);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        fs::canonicalize(self.folder.path()).unwrap().join(name)
    }

    fn secret(&self, name: &str, mode: u32) {
        fs::write(self.path(name), format!("{SECRET}\n")).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Writes and opens g.toml: the network, then this.
    fn open(&self, text: &str) -> Result<Opened, Error> {
        fs::write(self.path("g.toml"), format!("engine.model = 'net.toml'\n{text}")).unwrap();
        config::open(&self.path("g.toml"))
    }

    /// The faults of a file, without the folder's name and the heading.
    fn faults(&self, text: &str) -> (u8, Vec<String>) {
        let error = self.open(text).err().unwrap_or_else(|| panic!("nothing is wrong with\n{text}"));
        let folder = format!("{}/", self.path("").display().to_string().trim_end_matches('/'));
        let told = error.to_string().replace(&folder, "");
        assert!(!told.contains(SECRET), "{told}");
        let lines: Vec<&str> = told.split("\n  ").collect();
        let lines = if lines.len() > 1 { &lines[1..] } else { &lines[..] };
        (error.exit_code(), lines.iter().map(|line| line.to_string()).collect())
    }
}

#[test]
fn the_least_that_a_file_has() {
    let place = Place::new();
    let Opened { settings, level, warnings, .. } = place.open("").unwrap();
    assert_eq!((settings.max_batch, settings.max_wait.as_millis(), level.as_str()), (4, 20, "info"));
    assert_eq!((settings.http.listen.to_string().as_str(), settings.http.token.is_none()), ("127.0.0.1:9464", true));
    assert_eq!(settings.engine.attribution.methods.len(), 7, "all but grad-cam");
    assert!(settings.rtsp.is_none() && settings.streams.is_empty() && warnings.is_empty());
    assert_eq!(settings.labels, ["red", "green", "blue"]);
}

#[test]
fn a_stream_has_what_is_usual() {
    let place = Place::new();
    let text =
        "[[stream]]\nname = 'front'\nsource = 'rtsp://camera/live'\nsink = ['rtsp', 'rtsp://server/x', 'out/', 'a.mp4', '/dev/video9']";
    let settings = place.open(text).unwrap().settings;
    assert_eq!(settings.rtsp.unwrap().listen.to_string(), "127.0.0.1:8554", "a sink wants the server");
    let stream = &settings.streams[0];
    assert_eq!(stream.look.overlay, gradcast::overlay::Settings::default());
    assert_eq!((stream.look.target.text.as_str(), stream.look.method.name(), stream.look.every), ("hold:0.5", "fullgrad", 1));
    let names: Vec<&str> = stream.output.sinks.iter().map(|sink| sink.name.as_str()).collect();
    assert_eq!(names, ["rtsp", "push", "segments", "file", "v4l2"]);
    let SinkKind::Segments(segments) = &stream.output.sinks[2].kind else { panic!("{stream:?}") };
    assert_eq!(segments.folder, std::env::current_dir().unwrap().join("out"), "what is written is of the folder where the process runs");
    assert!(!stream.lossless && !stream.source.lossless && !stream.output.lossless);
    assert!(stream.size_px.is_none() && stream.output.encoder.is_none());
}

#[test]
fn texts_stand_for_kinds_of_sources() {
    use gradcast::video::live::Input;
    let place = Place::new();
    let input = |source: &str| {
        let text = format!("[[stream]]\nname = 'a'\nsource = '{source}'");
        place.open(&text).unwrap().settings.streams.remove(0).source.input
    };
    assert!(matches!(input("rtsps://c/x"), Input::Rtsp(rtsp) if rtsp.url == "rtsps://c/x"));
    assert!(matches!(input("http://c/x.m3u8"), Input::Uri(uri) if uri.uri == "http://c/x.m3u8"));
    assert!(matches!(input("srt://c:9000?mode=listener"), Input::Srt(srt) if srt.latency.as_millis() == 120));
    assert!(matches!(input("udp://239.1.2.3:5000"), Input::Udp(udp) if udp.listen.port() == 5000));
    assert!(matches!(input("/dev/video0"), Input::Device(device) if device.path == Path::new("/dev/video0")));
    assert!(matches!(input("clip.mp4"), Input::File(file) if file.path == place.path("clip.mp4") && file.real_time && !file.repeat));
    assert!(matches!(input("file:///a/clip.mp4"), Input::File(file) if file.path == Path::new("/a/clip.mp4")));
}

#[test]
fn a_secret_that_all_can_read_and_a_port_that_all_can_reach_are_warned_of() {
    let place = Place::new();
    place.secret("open", 0o644);
    let text = "http.token_file = 'open'\n[rtsp]\nuser = 'u'\npassword_file = 'secret'";
    let warnings = place.open(text).unwrap().warnings;
    let open = place.path("open");
    let file = place.path("g.toml");
    let wanted = format!(
        "{}:2: http.token_file: {} can be read by every user of this machine; chmod o= {}",
        file.display(),
        open.display(),
        open.display()
    );
    assert_eq!(warnings, [wanted]);
    let warnings = place.open("http.listen = '0.0.0.0:0'").unwrap().warnings;
    assert!(warnings.len() == 1 && warnings[0].contains("0.0.0.0:0 is open to other machines without a token"), "{warnings:?}");
}
