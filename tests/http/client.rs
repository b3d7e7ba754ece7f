//! A client that sends what it is told and shows what came, byte for byte.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// No test waits longer for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The error, of which the form is checked.
    pub fn error(&self) -> String {
        let json = self.json();
        let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["error", "faults"], "{json}");
        assert!(json["faults"].as_array().unwrap().iter().all(Value::is_string));
        json["error"].as_str().unwrap().to_owned()
    }
}

/// A connection.
pub struct Connection(TcpStream);

impl Connection {
    pub fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Connection(stream)
    }

    pub fn send(&mut self, text: &str) -> std::io::Result<()> {
        self.0.write_all(text.as_bytes())
    }

    /// Status and headers of an answer.
    pub fn head(&mut self) -> Answer {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            assert_eq!(self.0.read(&mut byte).unwrap(), 1, "ended after {:?}", String::from_utf8_lossy(&head));
            head.push(byte[0]);
        }
        let text = String::from_utf8(head).unwrap();
        let mut lines = text.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        Answer { status, headers, body: Vec::new() }
    }

    /// So many bytes of the body, as they come: chunked answers' lengths stand between.
    pub fn some(&mut self, bytes: usize) -> Vec<u8> {
        let mut some = vec![0; bytes];
        self.0.read_exact(&mut some).unwrap();
        some
    }

    /// One chunk of a chunked answer; `None` at its end, or where it was cut off.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            if self.0.read(&mut byte).ok()? == 0 {
                return None;
            }
            line.push(byte[0]);
        }
        let length = usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim(), 16).unwrap();
        let mut chunk = vec![0; length + 2];
        self.0.read_exact(&mut chunk).ok()?;
        chunk.truncate(length);
        (length > 0).then_some(chunk)
    }

    /// All that comes until the other side closes.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // Cut off by a reset: what came before counts.
        let _ = self.0.read_to_end(&mut rest);
        rest
    }

    /// An answer with a body of known length.
    pub fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        if let Some(length) = answer.header("content-length") {
            answer.body = self.some(length.parse().unwrap());
        }
        answer
    }
}

/// One request on a connection of its own. `headers` are whole lines.
pub fn request(address: SocketAddr, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
    let mut connection = Connection::open(address);
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for header in headers {
        text += header;
        text += "\r\n";
    }
    if !body.is_empty() || ["POST", "PATCH"].contains(&method) {
        text += &format!("Content-Length: {}\r\n", body.len());
    }
    connection.send(&(text + "\r\n" + body)).unwrap();
    connection.answer()
}

pub fn get(address: SocketAddr, path: &str) -> Answer {
    request(address, "GET", path, &[], "")
}

/// A request with a JSON body.
pub fn send(address: SocketAddr, method: &str, path: &str, body: &str) -> Answer {
    request(address, method, path, &["Content-Type: application/json"], body)
}

/// Waits until something holds.
pub fn until(what: &str, holds: impl Fn() -> bool) {
    let (_never, stop) = crossbeam_channel::bounded::<()>(0);
    let watch = gradcast::clock::Stopwatch::start();
    while !holds() {
        assert!(watch.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        gradcast::clock::pause(Duration::from_millis(10), &stop);
    }
}
