//! Limits: sizes, times, connections.

use std::time::Duration;

use gradcast::service::http::Limits;

use crate::client::{Connection, get, request, send, until};
use crate::fake_service::{Fake, Served, settings};

const SHORT: Duration = Duration::from_millis(200);

fn limited(limits: Limits) -> (std::sync::Arc<Fake>, Served) {
    let fake = Fake::with(&["front"]);
    let served = Served::start(fake.clone(), &settings(None), limits).unwrap();
    (fake, served)
}

#[test]
fn a_body_that_is_too_large_is_refused() {
    let (_, served) = limited(Limits { body_bytes: 100, ..Limits::default() });
    let of = |bytes: usize| format!("{{\"mode\": \"{}\"}}", "x".repeat(bytes - 12));
    assert_eq!(send(served.address, "PATCH", "/api/v1/streams/front", &of(100)).status, 200);
    for bytes in [101, 1000, 100_000] {
        let answer = send(served.address, "PATCH", "/api/v1/streams/front", &of(bytes));
        assert_eq!((answer.status, answer.error()), (413, "the body is larger than 100 bytes".into()));
    }
    let mut chunked = Connection::open(served.address);
    let head =
        "PATCH /api/v1/streams/front HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    chunked.send(&format!("{head}c8\r\n{}\r\n0\r\n\r\n", of(200))).unwrap();
    assert_eq!(chunked.answer().status, 413);
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let (_, served) = limited(Limits { body: SHORT, ..Limits::default() });
    let mut slow = Connection::open(served.address);
    slow.send("POST /api/v1/streams HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{\"na")
        .unwrap();
    let answer = slow.answer();
    assert_eq!((answer.status, answer.error()), (408, "the body did not come within 200ms".into()));
    assert!(slow.rest().is_empty(), "the connection is closed");
}

#[test]
fn headers_that_do_not_come_end_the_connection() {
    let (_, served) = limited(Limits { headers: SHORT, ..Limits::default() });
    let mut silent = Connection::open(served.address);
    let mut slow = Connection::open(served.address);
    slow.send("GET /metrics HTTP/1.1\r\nHost: loc").unwrap();
    assert!(silent.rest().is_empty());
    slow.rest();
    assert!((0..1000).any(|_| slow.send("alhost\r\n").is_err()), "nobody reads any more");
}

#[test]
fn headers_that_are_too_large_are_refused() {
    let (_, served) = limited(Limits::default());
    let long = format!("X-Long: {}", "x".repeat(500_000));
    let mut connection = Connection::open(served.address);
    // The answer may come before all is sent.
    let _ = connection.send(&format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\n{long}\r\n\r\n"));
    assert_eq!(connection.head().status, 431);
    assert_eq!(get(served.address, "/-/ready").status, 200);
}

#[test]
fn one_connection_too_many_is_told_so() {
    let (_, served) = limited(Limits { connections: 2, ..Limits::default() });
    let mut first = Connection::open(served.address);
    let mut second = Connection::open(served.address);
    for connection in [&mut first, &mut second] {
        connection.send("GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        assert_eq!(connection.answer().status, 200);
    }
    let turned_away = Connection::open(served.address).answer();
    assert_eq!((turned_away.status, turned_away.error()), (503, "too many connections at once; close some".into()));
    drop(first);
    until("a place is free", || {
        let mut next = Connection::open(served.address);
        next.send("GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n").is_ok() && next.head().status == 200
    });
}

#[test]
fn watchers_leave_connections_for_others() {
    let (fake, served) = limited(Limits { watchers: 1, ..Limits::default() });
    let mut watcher = Connection::open(served.address);
    watcher.send("GET /api/v1/streams/front/preview.mjpeg HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert_eq!(watcher.head().status, 200);
    for path in ["/api/v1/streams/front/preview.mjpeg", "/api/v1/previews?streams=front", "/api/v1/events"] {
        let answer = get(served.address, path);
        assert_eq!((answer.status, answer.error()), (503, "too many watch already; close a page or a viewer and try again".into()));
    }
    assert_eq!(get(served.address, "/metrics").status, 200);
    drop(watcher);
    until("the watcher's place is free", || fake.viewers("front") == 0);
    let mut next = Connection::open(served.address);
    next.send("GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert_eq!(next.head().status, 200);
}

#[test]
fn what_is_no_http_ends_one_connection_only() {
    let (_, served) = limited(Limits::default());
    for rubbish in ["\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\r\n\r\n\0\0\0"] {
        let mut connection = Connection::open(served.address);
        connection.send(rubbish).unwrap();
        let said = connection.rest();
        assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&said));
    }
    let answer = request(served.address, "GET", "/-/healthy", &["Content-Length: x"], "");
    assert_eq!(answer.status, 400);
    assert_eq!(get(served.address, "/-/healthy").status, 200);
}
