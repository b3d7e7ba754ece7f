//! Passes TCP connections on, and breaks them in every way that a test asks for.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long a pump sleeps while it holds or slows a connection, and how long it reads before it looks whether it is to.
const BEAT: Duration = Duration::from_millis(20);

#[derive(Default)]
struct State {
    server_port: AtomicU16,
    closed: AtomicBool,
    held: AtomicBool,
    rubbish: AtomicBool,
    /// Bytes a second; zero for no limit.
    limit: AtomicUsize,
    connections: Mutex<Vec<[TcpStream; 2]>>,
    open: AtomicUsize,
}

pub struct Relay {
    port: u16,
    state: Arc<State>,
    accepts: Option<JoinHandle<()>>,
}

impl Relay {
    /// Listens at a free port of 127.0.0.1.
    pub fn start(server_port: u16) -> Relay {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut relay = Relay { port: listener.local_addr().unwrap().port(), state: Arc::default(), accepts: None };
        relay.accept(listener, server_port);
        relay
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn connections(&self) -> usize {
        self.state.open.load(Ordering::Relaxed)
    }

    /// Breaks all connections and listens no more.
    pub fn close(&mut self) {
        self.state.closed.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(accepts) = self.accepts.take() {
            accepts.join().unwrap();
        }
        for stream in self.state.connections.lock().unwrap().drain(..).flatten() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Listens again, at the same port.
    pub fn open(&mut self, server_port: u16) {
        self.close();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        self.state = Arc::new(State {
            held: AtomicBool::new(self.state.held.load(Ordering::Relaxed)),
            rubbish: AtomicBool::new(self.state.rubbish.load(Ordering::Relaxed)),
            limit: AtomicUsize::new(self.state.limit.load(Ordering::Relaxed)),
            ..State::default()
        });
        self.accept(listener, server_port);
    }

    pub fn hold(&self, held: bool) {
        self.state.held.store(held, Ordering::Relaxed);
    }

    pub fn send_rubbish(&self, rubbish: bool) {
        self.state.rubbish.store(rubbish, Ordering::Relaxed);
    }

    pub fn limit(&self, bytes_per_second: Option<usize>) {
        self.state.limit.store(bytes_per_second.unwrap_or(0), Ordering::Relaxed);
    }

    fn accept(&mut self, listener: TcpListener, server_port: u16) {
        self.state.server_port.store(server_port, Ordering::SeqCst);
        let state = Arc::clone(&self.state);
        let accepts = move || {
            for viewer in listener.incoming() {
                if state.closed.load(Ordering::SeqCst) {
                    return;
                }
                let server = TcpStream::connect((Ipv4Addr::LOCALHOST, state.server_port.load(Ordering::SeqCst)));
                if let (Ok(viewer), Ok(server)) = (viewer, server) {
                    join(&state, viewer, server);
                }
            }
        };
        self.accepts = Some(thread::Builder::new().name("relay".into()).spawn(accepts).unwrap());
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.close();
    }
}

fn join(state: &Arc<State>, viewer: TcpStream, server: TcpStream) {
    for stream in [&viewer, &server] {
        stream.set_read_timeout(Some(BEAT)).unwrap();
        stream.set_nodelay(true).unwrap();
    }
    let copies = || (viewer.try_clone().unwrap(), server.try_clone().unwrap());
    let ((a, b), (c, d), (e, f)) = (copies(), copies(), copies());
    state.connections.lock().unwrap().push([a, b]);
    state.open.fetch_add(1, Ordering::Relaxed);
    let (up, down) = (Arc::clone(state), Arc::clone(state));
    thread::spawn(move || pump(&up, c, d, false));
    thread::spawn(move || {
        pump(&down, f, e, true);
        down.open.fetch_sub(1, Ordering::Relaxed);
    });
}

/// Passes bytes on until one side closes. Only what comes `down` from the server is slowed and turned into rubbish.
fn pump(state: &State, mut from: TcpStream, mut to: TcpStream, down: bool) {
    let mut buffer = vec![0; 16 << 10];
    let mut noise = 1_u32;
    while !state.closed.load(Ordering::SeqCst) {
        if state.held.load(Ordering::Relaxed) {
            thread::sleep(BEAT);
            continue;
        }
        let limit = if down { state.limit.load(Ordering::Relaxed) } else { 0 };
        let most = if limit > 0 { (limit * BEAT.as_millis() as usize / 1000).max(1) } else { buffer.len() };
        let count = match from.read(&mut buffer[..most]) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
            Err(_) => break,
        };
        if down && state.rubbish.load(Ordering::Relaxed) {
            buffer[..count].fill_with(|| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (noise >> 24) as u8
            });
        }
        if limit > 0 {
            thread::sleep(BEAT);
        }
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
