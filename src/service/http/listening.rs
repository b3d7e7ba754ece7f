//! The address, connections, and their limits.

use std::future::Future;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::super::operations::Operations;
use super::super::settings::HttpSettings;
use super::guard::Guard;
use super::patience::Patient;
use super::routes::{Shared, router};
use crate::error::{Error, Result};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// What the kernel keeps for a reader, in bytes. Little, so that a slow viewer sees new pictures and not a queue of old ones.
const SEND_BUFFER_BYTES: u32 = 128 * 1024;

/// What is kept for a connection before the kernel takes it, and the most that request line and headers may have.
const CONNECTION_BUFFER_BYTES: usize = 64 * 1024;

/// How long requests in flight have when the service ends.
const GRACE: Duration = Duration::from_secs(2);

/// After an accept that failed for want of file descriptors or memory.
const BREATH: Duration = Duration::from_millis(200);

/// How much and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; one more is told 503 and closed.
    pub connections: usize,
    /// Answers that go on until somebody ends them (live pictures, events) at once; one more is told 503.
    pub watchers: usize,
    /// Of a request's body.
    pub body_bytes: usize,
    /// For a request's line and headers, counted from when the connection is ready for them.
    pub headers: Duration,
    /// For a request's body.
    pub body: Duration,
    /// For a reader that takes nothing at all.
    pub stalled: Duration,
    /// For the first picture of a preview.
    pub picture: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 512,
            watchers: 128,
            body_bytes: 64 * 1024,
            headers: Duration::from_secs(30),
            body: Duration::from_secs(10),
            stalled: Duration::from_secs(30),
            picture: Duration::from_secs(5),
        }
    }
}

/// An address that is taken and not served yet.
#[derive(Debug)]
pub struct Listening {
    listener: TcpListener,
    address: SocketAddr,
    settings: HttpSettings,
    limits: Limits,
}

impl Listening {
    /// Takes the address. From then on connections wait until [`Listening::serve`] accepts them.
    ///
    /// # Errors
    /// At run time: the port is taken, or the address is none of this machine's.
    pub async fn open(settings: &HttpSettings) -> Result<Self> {
        let listener = listen(settings.listen).map_err(|error| refused(settings.listen, &error).with_source(error))?;
        let address = listener
            .local_addr()
            .map_err(|error| Error::runtime(format!("HTTP at {}: the address is not known", settings.listen)).with_source(error))?;
        Ok(Listening { listener, address, settings: settings.clone(), limits: Limits::default() })
    }

    /// Other limits than the default ones.
    pub fn with_limits(self, limits: Limits) -> Self {
        Listening { limits, ..self }
    }

    /// The address with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is there. Live answers then end at once, requests in flight have two seconds.
    pub async fn serve(self, operations: Arc<dyn Operations>, stop: impl Future<Output = ()>) {
        let (stopping, stopped) = watch::channel(false);
        let guard = Guard::new(self.settings.listen, self.address, self.settings.token);
        let (shared, news) = Shared::new(operations, guard, self.limits, stopped.clone());
        let news = tokio::spawn(news);
        let router = router(shared);

        let mut connections = JoinSet::new();
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((socket, _)) if connections.len() >= self.limits.connections => turn_away(socket),
                    Ok((socket, _)) => {
                        connections.spawn(talk(socket, router.clone(), self.limits, stopped.clone()));
                    }
                    Err(error) if of_one_connection(&error) => {}
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(BREATH).await;
                    }
                },
            }
        }
        drop(self.listener);
        // Nobody listens when there is no connection.
        let _ = stopping.send(true);
        let all_gone = async { while connections.join_next().await.is_some() {} };
        // Those that are left are dropped with the set.
        let _ = timeout(GRACE, all_gone).await;
        news.abort();
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    // Accepted connections inherit it.
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn refused(address: SocketAddr, error: &io::Error) -> Error {
    let what = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "the port is taken; end the program that has it (ss -ltnp shows which), or set another [http] listen".into()
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address; set one of its own (ip address shows them), or 0.0.0.0 for all, as [http] listen".into()
        }
        io::ErrorKind::PermissionDenied => "not allowed; ports below 1024 need CAP_NET_BIND_SERVICE; set another [http] listen".into(),
        _ => format!("{error}; set another [http] listen"),
    };
    Error::runtime(format!("HTTP at {address}: {what}"))
}

/// The connection went before it was accepted: nothing of ours.
fn of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused | io::ErrorKind::Interrupted
    )
}

fn turn_away(socket: TcpStream) {
    let body = r#"{"error":"too many connections at once; close some","faults":[]}"#;
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nretry-after: 1\r\n\
         connection: close\r\n\r\n{body}"
    );
    // Who is gone already is told nothing.
    let _ = socket.into_std().and_then(|mut socket| socket.write_all(answer.as_bytes()));
}

async fn talk(socket: TcpStream, router: Router, limits: Limits, mut stopped: watch::Receiver<bool>) {
    // Without it small answers are late, no more.
    let _ = socket.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.headers)
        .max_buf_size(CONNECTION_BUFFER_BYTES)
        .serve_connection(TokioIo::new(Patient::new(socket, limits.stalled)), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    // What goes wrong with one connection is the other side's, and that side knows.
    tokio::select! {
        _ = &mut connection => {}
        () = async { drop(stopped.wait_for(|stopped| *stopped).await) } => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}
