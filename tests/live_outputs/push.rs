//! Pushing to servers, the operator's own pipelines, and servers that fail.

use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use gradcast::secret::Secret;
use gradcast::video::live::{Push, SinkKind};
use gst::glib;
use gst::prelude::*;
use gst_rtsp_server::prelude::*;

use crate::outside::{Process, frames};
use crate::rtsp::Viewer;
use crate::stage::{PATIENCE, Stage, settings, sink, wait_for};

fn push(url: &str, user: Option<&str>, password: Option<&str>) -> SinkKind {
    SinkKind::Push(Push { url: url.to_owned(), user: user.map(str::to_owned), password: password.map(Secret::new) })
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

fn free_udp_port() -> u16 {
    UdpSocket::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// A server that takes what is pushed to /in, from ann.
struct Recorder {
    port: u16,
    frames: Arc<AtomicU64>,
    main_loop: glib::MainLoop,
}

impl Recorder {
    fn start() -> Self {
        gradcast::video::init().unwrap();
        let server = gst_rtsp_server::RTSPServer::new();
        server.set_address("127.0.0.1");
        server.set_service("0");
        let auth = gst_rtsp_server::RTSPAuth::new();
        auth.set_supported_methods(gst_rtsp::RTSPAuthMethod::Digest);
        let token = gst_rtsp_server::RTSPToken::builder().field("media.factory.role", "writer").build();
        auth.add_digest("ann", "open sesame", &token);
        server.set_auth(Some(&auth));
        let factory = gst_rtsp_server::RTSPMediaFactory::new();
        factory.set_transport_mode(gst_rtsp_server::RTSPTransportMode::RECORD);
        factory.set_launch("( rtph264depay name=depay0 ! h264parse ! avdec_h264 ! fakesink name=frames sync=false signal-handoffs=true )");
        let role = gst::Structure::builder("writer").field("media.factory.access", true).field("media.factory.construct", true).build();
        factory.add_role_from_structure(&role);
        let frames = Arc::new(AtomicU64::new(0));
        let counts = Arc::clone(&frames);
        factory.connect_media_configure(move |_, media| {
            let counts = Arc::clone(&counts);
            let bin = media.element().downcast::<gst::Bin>().unwrap();
            bin.by_name("frames").unwrap().connect("handoff", false, move |_| {
                counts.fetch_add(1, Ordering::SeqCst);
                None
            });
        });
        server.mount_points().unwrap().add_factory("/in", factory);
        let context = glib::MainContext::new();
        let main_loop = glib::MainLoop::new(Some(&context), false);
        let runs = main_loop.clone();
        let (ready, is_ready) = mpsc::channel();
        thread::spawn(move || {
            let _source = server.attach(Some(&context)).unwrap();
            ready.send(server.bound_port() as u16).unwrap();
            context.with_thread_default(|| runs.run()).unwrap();
        });
        Recorder { port: is_ready.recv_timeout(PATIENCE).unwrap(), frames, main_loop }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.main_loop.quit();
    }
}

#[test]
fn pushes_to_an_rtsp_server_with_the_right_password_only() {
    let recorder = Recorder::start();
    let url = format!("rtsp://127.0.0.1:{}/in", recorder.port);
    let sinks =
        vec![sink("guesses", push(&url, Some("ann"), Some("hunter2"))), sink("knows", push(&url, Some("ann"), Some("open sesame")))];
    let film = Stage::start(&settings(sinks), None).film(15);
    wait_for("frames at the server", || recorder.frames.load(Ordering::SeqCst) > 20);
    wait_for("an error", || film.sinks()[0].last_error.is_some());
    wait_for("a sink that works", || film.sinks()[1].up);
    let states = film.sinks();
    assert!(!states[0].up);
    let error = states[0].last_error.as_ref().unwrap();
    assert!(error.starts_with(&url) && !error.contains("hunter2"), "{error}");
    assert_eq!(states[1].last_error, None);
    let (stage, _) = film.cut();
    assert!(stage.output.close(PATIENCE));
}

/// ffmpeg as an RTMP server for one stream, written to a file.
fn rtmp_server(port: u16, path: &Path) -> Process {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-y", "-listen", "1", "-f", "flv", "-i"]).arg(format!("rtmp://127.0.0.1:{port}/live/k3y"));
    Process::start(command.args(["-c", "copy", "-flush_packets", "1"]).arg(path))
}

#[test]
fn an_rtmp_server_that_is_killed_and_comes_back_gets_the_stream_again() {
    let folder = tempfile::tempdir().unwrap();
    let (port, first, second) = (free_port(), folder.path().join("first.flv"), folder.path().join("second.flv"));
    let whole = folder.path().join("whole.mp4");
    let mut server = rtmp_server(port, &first);
    let sinks =
        vec![sink("live", push(&format!("rtmp://127.0.0.1:{port}/live/k3y"), None, None)), sink("whole", SinkKind::File(whole.clone()))];
    let film = Stage::start(&settings(sinks), None).film(15);
    let size = |path: &PathBuf| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    wait_for("the first file", || size(&first) > 20_000 && film.sinks()[0].up);
    server.kill();
    wait_for("an error", || !film.sinks()[0].up && film.sinks()[0].last_error.is_some());
    let error = film.sinks()[0].last_error.clone().unwrap();
    assert!(error.contains(&format!("rtmp://127.0.0.1:{port}/live")) && !error.contains("k3y"), "{error}");
    let mut server = rtmp_server(port, &second);
    wait_for("the second file", || size(&second) > 20_000 && film.sinks()[0].up);
    assert!(film.counted.restarts("live") >= 1 && film.counted.lost("live") > 0);
    let (stage, pushed) = film.cut();
    let counted = stage.counted.clone();
    assert!(stage.output.close(PATIENCE));
    server.kill();
    for path in [first, second] {
        assert!(frames(&path) > 5, "{}: begins where it can be decoded", path.display());
    }
    assert_eq!(counted.restarts("whole"), 0);
    assert_eq!(frames(&whole) + counted.lost("whole") + counted.dropped.get(), pushed, "the other sink has noticed nothing");
}

#[test]
fn pushes_by_srt_with_a_passphrase() {
    let port = free_udp_port();
    let listener = format!("srt://127.0.0.1:{port}?mode=listener&passphrase=open-sesame-1&pbkeylen=16");
    let sinks = vec![sink("srt", push(&format!("srt://127.0.0.1:{port}"), None, Some("open-sesame-1")))];
    let film = Stage::start(&settings(sinks), None).film(15);
    wait_for("an error while nobody listens", || film.sinks()[0].last_error.is_some());
    let error = film.sinks()[0].last_error.clone().unwrap();
    assert!(error.contains(&format!("srt://127.0.0.1:{port}")) && !error.contains("sesame"), "{error}");
    let viewer = Viewer::of("srtsrc name=source", "uri", &listener, None);
    viewer.sees(20);
    wait_for("a sink that works", || film.sinks()[0].up);
    let (stage, _) = film.cut();
    assert!(stage.output.close(PATIENCE));
}

#[test]
fn a_server_that_says_nothing_is_given_up_and_disturbs_nobody() {
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = silent.local_addr().unwrap().port();
    let accepts = thread::spawn(move || silent.accept().map(|(stream, _)| (silent, stream)));
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.mp4");
    let sinks = vec![
        sink("silent", push(&format!("rtsp://127.0.0.1:{port}/in"), Some("ann"), Some("hunter2"))),
        sink("whole", SinkKind::File(whole.clone())),
    ];
    let film = Stage::start(&settings(sinks), None).film(15);
    wait_for("an error", || film.sinks()[0].last_error.is_some());
    let state = film.sinks()[0].clone();
    assert!(!state.up && !state.last_error.as_ref().unwrap().contains("hunter2"), "{state:?}");
    let kept = accepts.join().unwrap();
    let (stage, pushed) = film.cut();
    let counted = stage.counted.clone();
    stage.output.close(Duration::from_secs(20));
    assert_eq!(frames(&whole) + counted.lost("whole") + counted.dropped.get(), pushed);
    drop(kept);
}

#[test]
fn the_operators_own_pipeline_takes_the_packets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.mkv");
    let text = format!("h264parse ! matroskamux ! filesink async=false location={}", path.display());
    let sinks = vec![
        sink("own", SinkKind::Text(text)),
        sink("wrong", SinkKind::Text("no-such-element ! fakesink".to_owned())),
        sink("device", SinkKind::Device("/dev/no-such-device".into())),
    ];
    let film = Stage::start(&settings(sinks), None).film(15);
    wait_for("frames", || film.sinks()[0].up && film.counted.outcome.get() > 20);
    wait_for("errors", || film.sinks()[1].last_error.is_some() && film.sinks()[2].last_error.is_some());
    let states = film.sinks();
    assert!(states[1].last_error.as_ref().unwrap().contains("no-such-element"), "{states:?}");
    assert!(states[2].last_error.as_ref().unwrap().contains("/dev/no-such-device"), "{states:?}");
    assert_eq!(states.iter().map(|state| state.kind).collect::<Vec<_>>(), ["gstreamer", "gstreamer", "v4l2"]);
    let (stage, _) = film.cut();
    assert!(stage.output.close(PATIENCE));
    assert!(frames(&path) > 10);
}
