//! `gradcast check --config`: everything that would go wrong at a start, by the program itself.

#![allow(clippy::unwrap_used)]

mod onnx_files;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use onnx_files::{chain, node, value};

/// A folder with a network, a secret and a clip.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Place(tempfile::tempdir().unwrap());
        let nodes = [node("GlobalAveragePool", "", &["x"], "means"), node("Flatten", "", &["means"], "scores")];
        fs::write(place.path("net.onnx"), chain(&nodes, &[value("x", 1, &[1, 3, 16, 16])], &["scores"])).unwrap();
        fs::write(place.path("net.toml"), "file = 'net.onnx'\n[input]\ncolour = 'rgb'\nmean = [0]\nstd = [1]\n").unwrap();
        fs::write(place.path("secret"), "hunter2\n").unwrap();
        fs::set_permissions(place.path("secret"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(place.path("clip.mp4"), "").unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Exit code and both outputs of the check of a file; neither ever has the secret in it.
    fn check(&self, text: &str) -> (i32, String, String) {
        fs::write(self.path("g.toml"), format!("[engine]\nmodel = 'net.toml'\ndevice = 'cpu'\n{text}")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_gradcast"));
        command.args(["check", "--config", "g.toml"]).current_dir(self.0.path()).env("CREDENTIALS_DIRECTORY", self.0.path());
        let Output { status, stdout, stderr } = command.output().unwrap();
        let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
        assert!(!stdout.contains("hunter2") && !stderr.contains("hunter2"), "{stdout}{stderr}");
        (status.code().unwrap(), stdout, stderr)
    }
}

/// A port that nobody listens at.
fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

#[test]
fn a_configuration_that_would_start() {
    let place = Place::new();
    let (http, rtsp) = (free_port(), free_port());
    let text = format!(
        "[http]\nlisten = '127.0.0.1:{http}'\ntoken_file = '${{CREDENTIALS_DIRECTORY}}/secret'\n[rtsp]\nlisten = '127.0.0.1:{rtsp}'\n\
         [[stream]]\nname = 'a'\nsource = 'clip.mp4'\nsink = ['rtsp', 'out/']\n[[stream]]\nname = 'b'\nsource = {{ kind = 'test' }}\n"
    );
    let (code, stdout, stderr) = place.check(&text);
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    for wanted in [
        "configuration g.toml\n  ok       2 streams\n",
        "\nnetwork\n  ok       ",
        "net.onnx, no SHA-256 in its manifest; the file is not checked, 0 labels\n",
        "\ndevice\n  ok       cpu, in ",
        &format!("\nports\n  ok       127.0.0.1:{http} is free (http.listen)\n  ok       127.0.0.1:{rtsp} is free (rtsp.listen)\n"),
        " elements that sources and sinks need\n",
        "  ok       encoder ",
        "clip.mp4 (stream.a.source)\n",
        "out (stream.a.sink segments); it will be made\n",
    ] {
        assert!(stdout.contains(wanted), "{wanted}\nis not in\n{stdout}");
    }
    assert!(!place.path("out").exists(), "nothing is made");
}

#[test]
fn what_the_machine_lacks_is_told_all_at_once_with_exit_code_1() {
    let place = Place::new();
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let text = format!(
        "[http]\nlisten = '127.0.0.1:{port}'\n[[stream]]\nname = 'a'\nsource = 'none.mp4'\n\
         sink = ['clip.mp4/under/', {{ kind = 'gstreamer', text = 'nosuchsink' }}]\n[[stream]]\nname = 'b'\nsource = '/dev/nosuchvideo'\n"
    );
    let (code, stdout, stderr) = place.check(&text);
    assert_eq!(code, 1, "{stdout}");
    for wanted in [
        &format!("  MISSING  127.0.0.1:{port} is taken (http.listen); give another port"),
        "  MISSING  nosuchsink (a's sink gstreamer); Debian package ",
        "none.mp4 cannot be read (stream.a.source)",
        "clip.mp4/under is not there and cannot be made (stream.a.sink segments)",
        "  MISSING  /dev/nosuchvideo is not there (stream.b.source)",
    ] {
        assert!(stdout.contains(wanted), "{wanted}\nis not in\n{stdout}");
    }
    assert_eq!(stderr, "gradcast: 5 things are missing here; the lines above that begin with MISSING say which\n", "{stdout}");
}

#[test]
fn what_is_wrong_with_the_file_is_told_all_at_once_with_exit_code_78() {
    let place = Place::new();
    fs::create_dir(place.path("own")).unwrap();
    fs::write(place.path("own/live_source_file.gst"), "filesrc name=input ! nosuchbin name=decode").unwrap();
    let text = "[http]\nlisten = '127.0.0.1:0'\n[pipelines]\nfolder = 'own'\n[[stream]]\nname = 'a'\nsource = 'clip.mp4'\nopacty = 1\ntarget = '9'\n";
    let (code, stdout, stderr) = place.check(text);
    assert_eq!(code, 78, "{stdout}");
    assert!(stdout.contains("\n  WRONG    g.toml:11: stream.a.opacty: there is no such key; perhaps opacity\n"), "{stdout}");
    assert!(stdout.contains("\n  WRONG    g.toml:12: stream.a.target: 9: the network has 3 classes, counted from 0\n"), "{stdout}");
    assert!(stdout.contains("live_source_file.gst: GStreamer has no nosuchbin"), "what can be checked all the same is: {stdout}");
    assert_eq!(stderr, "gradcast: g.toml: 3 things are wrong; the lines above that begin with WRONG say what and where\n");
    let run =
        Command::new(env!("CARGO_BIN_EXE_gradcast")).args(["run", "--config", "g.toml"]).current_dir(place.0.path()).output().unwrap();
    let stderr = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(78), "{stderr}");
    let wanted = "gradcast: g.toml: 2 faults:\n  g.toml:11: stream.a.opacty: there is no such key; perhaps opacity\n  g.toml:12: stream.a.target: 9: ";
    assert!(stderr.starts_with(wanted), "a start says the same: {stderr}");
    let (code, _, stderr) = place.check("[[stream]]\nname = 'a'\nsource = 'rtsp://u:hunter2@c/x'\n");
    assert_eq!((code, stderr.starts_with("gradcast: g.toml: 1 thing is wrong")), (78, true), "{stderr}");
}
