//! Who looks: at every stream over RTSP, and at two previews. Whoever is thrown out comes again.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use gst::prelude::*;

/// Before somebody who was thrown out comes again.
const REST: Duration = Duration::from_millis(500);
/// How long a wait lasts at most.
const BEAT: gst::ClockTime = gst::ClockTime::from_mseconds(200);

#[derive(Default)]
struct Seen {
    /// Packets, or bytes of a preview.
    count: AtomicU64,
    /// Times that it had to come again.
    returns: AtomicU64,
}

pub struct Viewers {
    all: Vec<(String, Arc<Seen>)>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Viewers {
    pub fn start(http_port: u16, rtsp_port: u16) -> Viewers {
        gst::init().unwrap();
        let mut viewers = Viewers { all: Vec::new(), stop: Arc::default(), threads: Vec::new() };
        for stream in super::stage::STREAMS {
            let url = format!("rtsp://127.0.0.1:{rtsp_port}/{stream}");
            viewers.add(format!("{stream} over RTSP"), move |seen, stop| look_over_rtsp(&url, seen, stop));
        }
        for stream in ["front", "guest"] {
            viewers.add(format!("preview of {stream}"), move |seen, stop| {
                let _ = look_at_preview(http_port, stream, seen, stop);
            });
        }
        viewers
    }

    fn add(&mut self, name: String, look: impl Fn(&Seen, &AtomicBool) + Send + 'static) {
        let seen = Arc::<Seen>::default();
        let (counts, stop) = (Arc::clone(&seen), Arc::clone(&self.stop));
        let body = move || {
            while !stop.load(Ordering::SeqCst) {
                look(&counts, &stop);
                counts.returns.fetch_add(1, Ordering::SeqCst);
                thread::sleep(REST);
            }
        };
        self.threads.push(thread::Builder::new().name("viewer".into()).spawn(body).unwrap());
        self.all.push((name, seen));
    }

    /// Of each: its name, what it has seen, and how often it was thrown out, did not get in, or was told to go.
    pub fn counts(&self) -> Vec<(String, u64, u64)> {
        let of =
            |(name, seen): &(String, Arc<Seen>)| (name.clone(), seen.count.load(Ordering::SeqCst), seen.returns.load(Ordering::SeqCst));
        self.all.iter().map(of).collect()
    }

    /// All go home; what they saw.
    pub fn end(&mut self) -> Vec<(String, u64, u64)> {
        let counts = self.counts();
        self.stop.store(true, Ordering::SeqCst);
        self.threads.drain(..).for_each(|thread| thread.join().unwrap());
        counts
    }
}

fn look_over_rtsp(url: &str, seen: &Seen, stop: &AtomicBool) {
    let text = "rtspsrc name=source protocols=tcp latency=0 ! rtph264depay ! appsink name=packets sync=false";
    let pipeline = gst::parse::launch(text).unwrap().downcast::<gst::Pipeline>().unwrap();
    pipeline.by_name("source").unwrap().set_property("location", url);
    let packets = pipeline.by_name("packets").unwrap().downcast::<gst_app::AppSink>().unwrap();
    if pipeline.set_state(gst::State::Playing).is_ok() {
        let bus = pipeline.bus().unwrap();
        while !stop.load(Ordering::SeqCst) && !packets.is_eos() {
            if bus.pop_filtered(&[gst::MessageType::Error, gst::MessageType::Eos]).is_some() {
                break;
            }
            if packets.try_pull_sample(BEAT).is_some() {
                seen.count.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
    let _ = pipeline.set_state(gst::State::Null);
}

fn look_at_preview(port: u16, stream: &str, seen: &Seen, stop: &AtomicBool) -> std::io::Result<()> {
    let mut connection = TcpStream::connect(("127.0.0.1", port))?;
    connection.set_read_timeout(Some(Duration::from_secs(1)))?;
    write!(connection, "GET /api/v1/streams/{stream}/preview.mjpeg HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")?;
    let mut bytes = [0; 16384];
    while !stop.load(Ordering::SeqCst) {
        match connection.read(&mut bytes) {
            Ok(0) => break,
            Ok(count) => drop(seen.count.fetch_add(count as u64, Ordering::SeqCst)),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A viewer over RTSP, by hand: it asks to be sent everything, and reads nothing of it.
pub struct Client {
    connection: TcpStream,
    url: String,
    number: usize,
}

impl Client {
    pub fn connect(port: u16, path: &str) -> Client {
        let connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
        connection.set_read_timeout(Some(super::daemon::PATIENCE)).unwrap();
        Client { connection, url: format!("rtsp://127.0.0.1:{port}/{path}"), number: 0 }
    }

    /// Asks; the whole answer, since the stream does not come before it is asked for.
    fn ask(&mut self, method: &str, control: &str, header: &str) -> String {
        self.number += 1;
        let (url, number) = (&self.url, self.number);
        write!(self.connection, "{method} {url}{control} RTSP/1.0\r\nCSeq: {number}\r\n{header}\r\n").unwrap();
        let mut answer = Vec::new();
        let whole = |answer: &[u8]| {
            let text = String::from_utf8_lossy(answer).into_owned();
            let (head, body) = text.split_once("\r\n\r\n")?;
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length:")).map_or(0, |text| text.trim().parse().unwrap());
            (body.len() >= length).then_some(text)
        };
        let mut byte = [0];
        loop {
            self.connection.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
            if let Some(text) = whole(&answer) {
                assert!(text.starts_with("RTSP/1.0 200"), "{method}: {text}");
                return text;
            }
        }
    }

    pub fn play(&mut self) {
        let description = self.ask("DESCRIBE", "", "Accept: application/sdp\r\n");
        let control = description.lines().rev().find_map(|line| line.strip_prefix("a=control:")).unwrap().to_owned();
        let answer = self.ask("SETUP", &format!("/{control}"), "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n");
        let session = answer.lines().find_map(|line| line.strip_prefix("Session:")).unwrap();
        let session = format!("Session: {}\r\n", session.trim().split(';').next().unwrap());
        self.ask("PLAY", "", &session);
    }
}
