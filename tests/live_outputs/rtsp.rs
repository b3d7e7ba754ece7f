//! Our own RTSP server and those who look at it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use gradcast::secret::Secret;
use gradcast::video::live::{RtspServer, RtspServerSettings, SinkKind};
use gst::prelude::*;

use crate::outside::{Process, bounded};
use crate::stage::{Film, PATIENCE, Stage, settings, sink, wait_for};

pub fn server(credentials: Option<(&str, &str)>) -> RtspServer {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let user = credentials.map(|(user, _)| user.to_owned());
    let password = credentials.map(|(_, password)| Secret::new(password));
    RtspServer::start(&RtspServerSettings { listen, user, password }).unwrap()
}

pub fn film_at(server: &RtspServer, path: &str) -> Film {
    Stage::start(&settings(vec![sink("view", SinkKind::Rtsp { path: path.to_owned() })]), Some(server)).film(15)
}

/// A viewer by GStreamer that decodes what it gets.
pub struct Viewer {
    pipeline: gst::Pipeline,
    frames: Arc<AtomicU64>,
    fault: Arc<Mutex<Option<String>>>,
}

impl Viewer {
    pub fn start(url: &str, transport: &str, credentials: Option<(&str, &str)>) -> Self {
        Self::of(&format!("rtspsrc name=source protocols={transport} latency=0"), "location", url, credentials)
    }

    /// Of what comes out of another source.
    pub fn of(source: &str, property: &str, url: &str, credentials: Option<(&str, &str)>) -> Self {
        gradcast::video::init().unwrap();
        let text = format!("{source} ! decodebin ! fakesink name=frames sync=false signal-handoffs=true");
        let pipeline = gst::parse::launch(&text).unwrap().downcast::<gst::Pipeline>().unwrap();
        let source = pipeline.by_name("source").unwrap();
        source.set_property(property, url);
        if let Some((user, password)) = credentials {
            source.set_property("user-id", user);
            source.set_property("user-pw", password);
        }
        let frames = Arc::new(AtomicU64::new(0));
        let counts = Arc::clone(&frames);
        pipeline.by_name("frames").unwrap().connect("handoff", false, move |_| {
            counts.fetch_add(1, Ordering::SeqCst);
            None
        });
        let fault: Arc<Mutex<Option<String>>> = Arc::default();
        let hears = Arc::clone(&fault);
        pipeline.bus().unwrap().set_sync_handler(move |_, message| {
            match message.view() {
                gst::MessageView::Error(error) => *hears.lock().unwrap() = Some(error.error().to_string()),
                gst::MessageView::Eos(_) => *hears.lock().unwrap() = Some("end".to_owned()),
                _ => {}
            }
            gst::BusSyncReply::Drop
        });
        let _ = pipeline.set_state(gst::State::Playing);
        Viewer { pipeline, frames, fault }
    }

    pub fn frames(&self) -> u64 {
        self.frames.load(Ordering::SeqCst)
    }

    pub fn fault(&self) -> Option<String> {
        self.fault.lock().unwrap().clone()
    }

    /// Waits for so many more frames.
    pub fn sees(&self, more: u64) {
        let before = self.frames();
        wait_for("frames at a viewer", || {
            assert_eq!(self.fault(), None);
            self.frames() >= before + more
        });
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        // From another thread: what hangs must not hang the test.
        let pipeline = self.pipeline.clone();
        thread::spawn(move || pipeline.set_state(gst::State::Null));
    }
}

/// A viewer written out by hand, which does exactly what it is told.
pub struct Client {
    pub stream: BufReader<TcpStream>,
    url: String,
    number: u32,
    session: Option<String>,
}

impl Client {
    pub fn connect(port: u16, path: &str) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client { stream: BufReader::new(stream), url: format!("rtsp://127.0.0.1:{port}/{path}"), number: 0, session: None }
    }

    /// Asks; gives back the head of the answer and its body.
    pub fn ask(&mut self, method: &str, control: &str, headers: &[String]) -> (String, String) {
        self.number += 1;
        let mut request = format!("{method} {}{control} RTSP/1.0\r\nCSeq: {}\r\n", self.url, self.number);
        let session = self.session.iter().map(|session| format!("Session: {session}"));
        for header in headers.iter().cloned().chain(session) {
            request += &format!("{header}\r\n");
        }
        self.stream.get_mut().write_all(format!("{request}\r\n").as_bytes()).unwrap();
        let mut head = String::new();
        loop {
            // Packets of the stream may come between.
            if self.stream.fill_buf().unwrap().first() == Some(&b'$') {
                let mut packet = [0; 4];
                self.stream.read_exact(&mut packet).unwrap();
                let mut rest = vec![0; usize::from(u16::from_be_bytes([packet[2], packet[3]]))];
                self.stream.read_exact(&mut rest).unwrap();
                continue;
            }
            let mut line = String::new();
            assert!(self.stream.read_line(&mut line).unwrap() > 0, "the server has gone: {head}");
            if line == "\r\n" {
                break;
            }
            head += &line;
        }
        let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        if let Some(session) = field("Session:") {
            self.session = Some(session.split(';').next().unwrap().to_owned());
        }
        let length = field("Content-Length:").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        (head, String::from_utf8(body).unwrap())
    }

    /// Looks, by RTP in this connection.
    pub fn play(&mut self) {
        let (head, description) = self.ask("DESCRIBE", "", &["Accept: application/sdp".to_owned()]);
        assert!(head.starts_with("RTSP/1.0 200"), "{head}");
        let control = description.lines().rev().find_map(|line| line.strip_prefix("a=control:")).unwrap().to_owned();
        let (head, _) = self.ask("SETUP", &format!("/{control}"), &["Transport: RTP/AVP/TCP;unicast;interleaved=0-1".to_owned()]);
        assert!(head.starts_with("RTSP/1.0 200"), "{head}");
        let (head, _) = self.ask("PLAY", "", &[]);
        assert!(head.starts_with("RTSP/1.0 200"), "{head}");
    }
}

#[test]
fn many_look_by_tcp_and_udp_and_leave() {
    let server = server(None);
    let film = film_at(&server, "front");
    let url = format!("rtsp://127.0.0.1:{}/front", server.port());
    let viewers: Vec<Viewer> = ["tcp", "udp", "tcp", "udp"].map(|transport| Viewer::start(&url, transport, None)).into();
    viewers.iter().for_each(|viewer| viewer.sees(20));
    assert_eq!(server.viewers("front"), 4);
    let state = &film.sinks()[0];
    assert_eq!((state.kind, state.up, state.viewers), ("rtsp", true, Some(4)));
    drop(viewers);
    wait_for("an empty house", || server.viewers("front") == 0);
    // And one after that.
    Viewer::start(&url, "tcp", None).sees(5);
    let (stage, pushed) = film.cut();
    let counted = stage.counted.clone();
    assert!(stage.output.close(PATIENCE));
    assert_eq!(counted.outcome.get() + counted.dropped.get(), pushed);
}

#[test]
fn one_comes_just_as_another_leaves() {
    let server = server(None);
    let film = film_at(&server, "front");
    let url = format!("rtsp://127.0.0.1:{}/front", server.port());
    for transport in ["tcp", "udp"].into_iter().cycle().take(30) {
        Viewer::start(&url, transport, None).sees(1);
    }
    wait_for("nobody", || server.viewers("front") == 0);
    drop(film);
}

#[test]
fn ffmpeg_looks_too() {
    let server = server(None);
    let film = film_at(&server, "front");
    let folder = tempfile::tempdir().unwrap();
    for transport in ["tcp", "udp"] {
        let path = folder.path().join(format!("{transport}.mkv"));
        let url = format!("rtsp://127.0.0.1:{}/front", server.port());
        let mut command = bounded("ffmpeg");
        command.args(["-v", "error", "-rtsp_transport", transport, "-i", &url, "-frames:v", "30", "-c", "copy"]).arg(&path);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{transport}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(crate::outside::frames(&path), 30, "{transport}: all can be decoded, from the first on");
    }
    let (stage, _) = film.cut();
    assert!(stage.output.close(PATIENCE));
}

#[test]
fn only_who_knows_the_password_looks() {
    let server = server(Some(("ann", "open sesame")));
    let film = film_at(&server, "front");
    let url = format!("rtsp://127.0.0.1:{}/front", server.port());
    for credentials in [None, Some(("ann", "guess")), Some(("bob", "open sesame"))] {
        let viewer = Viewer::start(&url, "tcp", credentials);
        wait_for("a refusal", || viewer.fault().is_some());
        assert_eq!(viewer.frames(), 0);
    }
    // GStreamer answers to digest.
    Viewer::start(&url, "tcp", Some(("ann", "open sesame"))).sees(5);
    let describe = |authorization: Option<&str>| {
        let headers: Vec<String> = authorization.into_iter().map(|text| format!("Authorization: {text}")).collect();
        Client::connect(server.port(), "front").ask("DESCRIBE", "", &headers).0
    };
    let refused = describe(None);
    assert!(refused.starts_with("RTSP/1.0 401") && refused.contains("Digest realm=\"gradcast\""), "{refused}");
    assert!(!refused.contains("sesame"));
    // "ann:open sesame", and "ann:guess".
    assert!(describe(Some("Basic YW5uOm9wZW4gc2VzYW1l")).starts_with("RTSP/1.0 200"));
    assert!(describe(Some("Basic YW5uOmd1ZXNz")).starts_with("RTSP/1.0 401"));
    drop(film);
}

#[test]
fn a_mount_stays_while_no_frames_come_and_goes_with_its_output() {
    let server = server(None);
    let film = film_at(&server, "front");
    let url = format!("rtsp://127.0.0.1:{}/front", server.port());
    let viewer = Viewer::start(&url, "tcp", None);
    viewer.sees(5);
    film.stand_still(true);
    thread::sleep(Duration::from_secs(3));
    film.stand_still(false);
    viewer.sees(10);
    // A second output of the same name has no place.
    let settings = settings(vec![sink("view", SinkKind::Rtsp { path: "front".to_owned() })]);
    let shape = gradcast::video::live::Shape::of_size(64, 64).unwrap();
    let clock = gradcast::clock::Clock::machine();
    let counters = film.counted.counters();
    let start = |rtsp| gradcast::video::live::Output::start(&settings, "front", &shape.picture, &shape, &clock, counters.clone(), rtsp);
    let refused = start(Some(&server)).err().unwrap();
    assert!(refused.to_string().contains("/front"), "{refused}");
    assert!(start(None).err().unwrap().to_string().contains("RTSP server"));
    let (stage, _) = film.cut();
    assert!(stage.output.close(PATIENCE));
    wait_for("the viewer's end", || viewer.fault().is_some());
    let (head, _) = Client::connect(server.port(), "front").ask("DESCRIBE", "", &[]);
    assert!(head.starts_with("RTSP/1.0 404"), "{head}");
    let film = film_at(&server, "front");
    Viewer::start(&url, "tcp", None).sees(5);
    drop(film);
}

#[test]
fn a_taken_port_is_told_by_its_address() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let listen = taken.local_addr().unwrap();
    let error = RtspServer::start(&RtspServerSettings { listen, user: None, password: None }).err().unwrap();
    assert!(error.to_string().contains(&listen.to_string()) && error.to_string().contains("in use"), "{error}");
    let half = RtspServerSettings { listen: SocketAddr::from(([127, 0, 0, 1], 0)), user: Some("ann".to_owned()), password: None };
    assert!(RtspServer::start(&half).err().unwrap().to_string().contains("password"));
}

#[test]
fn ffprobe_that_is_killed_leaves_nobody_behind() {
    let server = server(None);
    let film = film_at(&server, "front");
    let url = format!("rtsp://127.0.0.1:{}/front", server.port());
    let mut command = Command::new("ffmpeg");
    let mut process = Process::start(command.args(["-v", "error", "-rtsp_transport", "tcp", "-i", &url, "-f", "null", "-"]));
    wait_for("a viewer", || server.viewers("front") == 1);
    process.kill();
    wait_for("nobody", || server.viewers("front") == 0);
    drop(film);
}
