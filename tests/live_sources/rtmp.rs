//! RTMP from a server of our own: as much of the protocol (Adobe's specification 1.0) as a player needs. ffmpeg's server sends on message
//! stream 0 whatever it has agreed to, which GStreamer's player does not listen to.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use gradcast::clock::Stopwatch;
use gradcast::video::live::{Event, Input, UriInput};

use crate::taking::{event, failure, ffmpeg, media, next, picture, settings, start, take};

const HANDSHAKE_BYTES: usize = 1536;
/// Of chunks that the server sends.
const CHUNK_BYTES: usize = 4096;
/// Kinds of messages.
const SET_CHUNK_SIZE: u8 = 1;
const COMMAND: u8 = 20;
/// The message stream that createStream gives.
const STREAM: u32 = 1;

struct Message {
    kind: u8,
    body: Vec<u8>,
}

/// Puts chunks together.
struct Chunks {
    stream: TcpStream,
    chunk_bytes: usize,
    /// By chunk stream: (length, kind) of its last header, and what has come of the message.
    open: HashMap<u8, (usize, u8, Vec<u8>)>,
}

impl Chunks {
    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn next(&mut self) -> io::Result<Message> {
        loop {
            let [basic] = self.bytes()?;
            let entry = self.open.remove(&(basic & 0x3f)).unwrap_or_default();
            let (mut length, mut kind, mut body) = entry;
            if basic >> 6 < 3 {
                self.bytes::<3>()?;
            }
            if basic >> 6 < 2 {
                let [a, b, c, is] = self.bytes()?;
                (length, kind) = (u32::from_be_bytes([0, a, b, c]) as usize, is);
            }
            if basic >> 6 == 0 {
                self.bytes::<4>()?;
            }
            let part = (length - body.len()).min(self.chunk_bytes);
            let from = body.len();
            body.resize(from + part, 0);
            self.stream.read_exact(&mut body[from..])?;
            let whole = body.len() == length;
            self.open.insert(basic & 0x3f, (length, kind, if whole { Vec::new() } else { body.clone() }));
            if whole && kind == SET_CHUNK_SIZE {
                self.chunk_bytes = u32::from_be_bytes(body[..4].try_into().unwrap()) as usize;
            } else if whole {
                return Ok(Message { kind, body });
            }
        }
    }
}

fn send(stream: &mut TcpStream, channel: u8, time_ms: u32, kind: u8, message_stream: u32, body: &[u8]) -> io::Result<()> {
    let mut out = vec![channel];
    out.extend(&time_ms.to_be_bytes()[1..]);
    out.extend(&(body.len() as u32).to_be_bytes()[1..]);
    out.push(kind);
    out.extend(message_stream.to_le_bytes());
    for (number, part) in body.chunks(CHUNK_BYTES).enumerate() {
        if number > 0 {
            out.push(0xc0 | channel);
        }
        out.extend(part);
    }
    stream.write_all(&out)
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u16).to_be_bytes());
    out.extend(text.as_bytes());
}

/// AMF0: a command with its number, then either nothing or a stream's number, or an object of texts.
fn command(name: &str, number: f64, stream: Option<f64>, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = vec![2];
    text(&mut out, name);
    out.push(0);
    out.extend(number.to_be_bytes());
    out.push(5);
    if let Some(stream) = stream {
        out.push(0);
        out.extend(stream.to_be_bytes());
        return out;
    }
    out.push(3);
    for (key, value) in fields {
        text(&mut out, key);
        out.push(2);
        text(&mut out, value);
    }
    out.extend([0, 0, 9]);
    out
}

/// Name and number of a command.
fn heard(body: &[u8]) -> Option<(String, f64)> {
    let length = usize::from(u16::from_be_bytes(body.get(1..3)?.try_into().ok()?));
    let name = String::from_utf8(body.get(3..3 + length)?.to_vec()).ok()?;
    Some((name, f64::from_be_bytes(body.get(4 + length..12 + length)?.try_into().ok()?)))
}

/// Plays an FLV file to one viewer at its own times, and closes.
fn play(mut stream: TcpStream, flv: &[u8]) -> io::Result<()> {
    let mut hello = [0; 1 + HANDSHAKE_BYTES];
    stream.read_exact(&mut hello)?;
    stream.write_all(&[3])?;
    stream.write_all(&[0; HANDSHAKE_BYTES])?;
    stream.write_all(&hello[1..])?;
    stream.read_exact(&mut hello[1..])?;
    send(&mut stream, 2, 0, SET_CHUNK_SIZE, 0, &(CHUNK_BYTES as u32).to_be_bytes())?;
    let mut chunks = Chunks { stream: stream.try_clone()?, chunk_bytes: 128, open: HashMap::new() };
    loop {
        let message = chunks.next()?;
        let Some((name, number)) = heard(&message.body).filter(|_| message.kind == COMMAND) else { continue };
        let status = |code| [("level", "status"), ("code", code), ("description", "-")];
        match name.as_str() {
            "connect" => send(&mut stream, 3, 0, COMMAND, 0, &command("_result", number, None, &status("NetConnection.Connect.Success")))?,
            "createStream" => send(&mut stream, 3, 0, COMMAND, 0, &command("_result", number, Some(f64::from(STREAM)), &[]))?,
            "play" => break,
            _ => {}
        }
    }
    let started = command("onStatus", 0.0, None, &[("level", "status"), ("code", "NetStream.Play.Start"), ("description", "-")]);
    send(&mut stream, 5, 0, COMMAND, STREAM, &started)?;
    let watch = Stopwatch::start();
    let (_never, waits) = crossbeam_channel::bounded::<()>(0);
    // Behind the file's header and the length of a tag before the first.
    let mut rest = &flv[13..];
    while let [kind, a, b, c, d, e, f, g, _, _, _, tail @ ..] = rest {
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let time_ms = u32::from_be_bytes([*g, *d, *e, *f]);
        gradcast::clock::pause(Duration::from_millis(u64::from(time_ms)).saturating_sub(watch.elapsed()), &waits);
        send(&mut stream, 6, time_ms, *kind, STREAM, &tail[..length])?;
        rest = &tail[length + 4..];
    }
    Ok(())
}

fn uri(uri: &str) -> Input {
    Input::Uri(UriInput { uri: uri.to_owned(), user: None, password: None })
}

#[test]
fn rtmp_comes_from_a_server_and_ends_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let clip = ffmpeg(folder.path(), "clip.flv", &format!("-i {} -t 3 -c copy", media("bigbuckbunny.mp4").display()));
    let flv = std::fs::read(clip).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("rtmp://{}/live/camera", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let told = stream.and_then(|stream| play(stream, &flv));
            println!("a viewer of RTMP: {told:?}");
        }
    });
    let source = start(&settings(uri(&url)));
    let first = next(&source);
    picture(&first, "rtmp");
    assert_eq!((first.shape.picture.width_px, first.shape.picture.height_px), (1280, 720));
    take(&source, 40);
    let told = event(&source);
    assert!(matches!(told, Event::Ended | Event::Failed(_)), "{told:?}");
    assert!(source.stop());
    // Before its first frame.
    let source = start(&settings(uri(&url)));
    assert!(source.stop());
}

#[test]
fn nobody_who_speaks_rtmp_is_said_to_be_there() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = failure(&start(&settings(uri(&format!("rtmp://{closed}/live/camera"))))).to_string();
    assert!(error.contains("connection refused"), "{error}");
    let error = failure(&start(&settings(uri("rtmp://no-such-host.invalid/live/camera")))).to_string();
    println!("{error}");
    assert!(error.contains("no-such-host.invalid"), "{error}");
}
