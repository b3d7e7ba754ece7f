//! Answers that go on: pictures and events.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use gradcast::service::Operations;
use gradcast::service::http::Limits;
use serde_json::{Value, json};

use crate::client::{Connection, get, until};
use crate::fake_service::{Fake, Served, settings};

/// A picture that says its number at its start and end.
fn picture(number: u32, bytes: usize) -> Bytes {
    let mut picture = vec![b'.'; bytes];
    picture[..4].copy_from_slice(&number.to_be_bytes());
    picture[bytes - 4..].copy_from_slice(&number.to_be_bytes());
    picture.into()
}

fn watch(served: &Served, path: &str) -> Connection {
    let mut connection = Connection::open(served.address);
    connection.send(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).unwrap();
    let head = connection.head();
    assert_eq!(head.status, 200, "{path}");
    connection
}

/// Stream and number of a part.
fn read_part(part: &[u8]) -> (Option<String>, u32) {
    let at = part.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = std::str::from_utf8(&part[..at]).unwrap();
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
    assert_eq!(header("Content-Type: ").as_deref(), Some("image/jpeg"));
    let length: usize = header("Content-Length: ").unwrap().parse().unwrap();
    let body = &part[at + 4..at + 4 + length];
    assert_eq!(&part[at + 4 + length..], b"\r\n--gradcast\r\n");
    assert_eq!(body[..4], body[length - 4..], "a whole picture");
    (header("X-Stream: "), u32::from_be_bytes(body[..4].try_into().unwrap()))
}

#[test]
fn motion_jpeg_shows_what_is_there_and_what_comes_and_ends_with_the_stream() {
    let fake = Fake::with(&["front"]);
    fake.show("front", picture(1, 100));
    let served = Served::new(fake.clone(), None);
    let mut connection = Connection::open(served.address);
    connection.send("GET /api/v1/streams/front/preview.mjpeg HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let head = connection.head();
    assert_eq!(head.header("content-type"), Some("multipart/x-mixed-replace; boundary=gradcast"));
    assert_eq!(connection.chunk().unwrap(), b"--gradcast\r\n");
    assert_eq!(read_part(&connection.chunk().unwrap()), (None, 1));
    for number in 2..5 {
        fake.show("front", picture(number, 1000));
        assert_eq!(read_part(&connection.chunk().unwrap()).1, number);
    }
    assert_eq!(fake.viewers("front"), 1);
    fake.remove("front").unwrap();
    assert_eq!(connection.chunk(), None);
    assert_eq!(get(served.address, "/api/v1/streams/front/preview.mjpeg").status, 404);
}

#[test]
fn a_slow_viewer_skips_and_holds_up_nobody() {
    const BYTES: usize = 100_000;
    const PICTURES: u32 = 300;
    let fake = Fake::with(&["front"]);
    fake.show("front", picture(0, BYTES));
    let served = Served::new(fake.clone(), None);
    let mut slow = watch(&served, "/api/v1/streams/front/preview.mjpeg");
    let mut fast = watch(&served, "/api/v1/streams/front/preview.mjpeg");
    assert_eq!(fast.chunk().unwrap(), b"--gradcast\r\n");
    assert_eq!(read_part(&fast.chunk().unwrap()).1, 0);
    for number in 1..=PICTURES {
        fake.show("front", picture(number, BYTES));
        assert_eq!(read_part(&fast.chunk().unwrap()).1, number, "the fast viewer sees each of them");
    }
    // The slow one finds what was on its way to it, then the newest.
    slow.chunk().unwrap();
    let mut seen = vec![read_part(&slow.chunk().unwrap()).1];
    while *seen.last().unwrap() != PICTURES {
        seen.push(read_part(&slow.chunk().unwrap()).1);
    }
    assert!(seen.is_sorted_by(|a, b| a < b), "{seen:?}");
    assert!(seen.len() < PICTURES as usize / 2, "it skipped: {seen:?}");
}

#[test]
fn a_viewer_that_takes_nothing_is_given_up() {
    let fake = Fake::with(&["front"]);
    let limits = Limits { stalled: Duration::from_millis(200), ..Limits::default() };
    let served = Served::start(fake.clone(), &settings(None), limits).unwrap();
    let stalled = watch(&served, "/api/v1/streams/front/preview.mjpeg");
    let number = std::cell::Cell::new(0);
    until("the viewer is given up", || {
        number.set(number.get() + 1);
        fake.show("front", picture(number.get(), 1_000_000));
        fake.viewers("front") == 0
    });
    drop(stalled);
}

#[test]
fn pictures_of_many_streams_come_over_one_connection() {
    let fake = Fake::with(&["front", "back", "side"]);
    fake.show("front", picture(10, 100));
    fake.show("back", picture(20, 100));
    let served = Served::new(fake.clone(), None);
    let mut connection = watch(&served, "/api/v1/previews?streams=front,back,nobody");
    assert_eq!(connection.chunk().unwrap(), b"--gradcast\r\n");
    let mut first = [connection.chunk().unwrap(), connection.chunk().unwrap()].map(|part| read_part(&part));
    first.sort();
    assert_eq!(first, [(Some("back".into()), 20), (Some("front".into()), 10)]);
    fake.show("side", picture(30, 100));
    fake.show("back", picture(21, 100));
    assert_eq!(read_part(&connection.chunk().unwrap()), (Some("back".into()), 21));
    assert_eq!((fake.viewers("front"), fake.viewers("side")), (1, 0));
    fake.remove("back").unwrap();
    assert_eq!(connection.chunk(), None, "who still wants the others asks again");
    until("nobody looks", || fake.viewers("front") == 0);
    assert_eq!(watch(&served, "/api/v1/previews?streams=").chunk().unwrap(), b"--gradcast\r\n");
    for wrong in ["/api/v1/previews", "/api/v1/previews?streams=a&streams=b"] {
        assert!(get(served.address, wrong).error().contains("?streams=front,back"), "{wrong}");
    }
}

#[test]
fn a_still_is_the_newest_picture_or_says_that_there_is_none() {
    let fake = Fake::with(&["front"]);
    let limits = Limits { picture: Duration::from_millis(200), ..Limits::default() };
    let served = Served::start(fake.clone(), &settings(None), limits).unwrap();
    let answer = get(served.address, "/api/v1/streams/front/preview.jpg");
    assert_eq!((answer.status, answer.error()), (503, "the stream \"front\" has no picture yet; ask again later".into()));
    fake.show("front", picture(7, 100));
    let answer = get(served.address, "/api/v1/streams/front/preview.jpg");
    assert_eq!((answer.header("content-type"), &answer.body[..]), (Some("image/jpeg"), &picture(7, 100)[..]));
    assert_eq!(get(served.address, "/api/v1/streams/back/preview.jpg").status, 404);
    assert_eq!(fake.viewers("front"), 0);
}

/// The next tick's events, as (event, data).
fn events(connection: &mut Connection) -> Vec<(String, Value)> {
    let text = String::from_utf8(connection.chunk().expect("events go on")).unwrap();
    let event = |text: &str| {
        let (event, data) = text.strip_prefix("event: ").and_then(|rest| rest.split_once("\ndata: ")).expect("an event");
        (event.to_owned(), serde_json::from_str(data).unwrap())
    };
    text.split_terminator("\n\n").map(event).collect()
}

/// The next tick with more than the time.
fn news(connection: &mut Connection) -> Vec<(String, Value)> {
    loop {
        let mut events = events(connection);
        let (time, seconds) = events.pop().unwrap();
        assert!(time == "time" && seconds["unix_seconds"].as_f64().unwrap() > 1.7e9);
        if !events.is_empty() {
            return events;
        }
    }
}

#[test]
fn events_tell_what_has_changed() {
    let fake = Fake::with(&["front", "back"]);
    let served = Served::new(fake.clone(), None);
    let mut connection = watch(&served, "/api/v1/events");
    assert_eq!(connection.chunk().unwrap(), b"retry: 1000\n\n");
    let first = news(&mut connection);
    let names: Vec<&str> = first.iter().map(|(event, _)| event.as_str()).collect();
    assert_eq!(names, ["service", "stream", "stream", "streams"]);
    assert_eq!((&first[0].1, &first[1].1["name"]), (&json!({"healthy": true, "ready": true, "why": null}), &json!("front")));
    assert_eq!(first[3].1, json!(["front", "back"]));

    fake.set("back", |state| state.frames.explained = 5);
    let next = news(&mut connection);
    assert_eq!((next.len(), &next[0].0[..], &next[0].1["frames"]["explained"]), (1, "stream", &json!(5)));
    fake.remove("front").unwrap();
    assert_eq!(news(&mut connection), [("streams".into(), json!(["back"]))]);
    *fake.why_not_ready.lock().unwrap() = Some("ending".into());
    assert_eq!(news(&mut connection)[0].1["why"], "ending");
}

#[test]
fn states_are_asked_for_only_while_somebody_listens() {
    let fake = Fake::with(&["front"]);
    let served = Served::new(fake.clone(), None);
    let looks = |fake: &Arc<Fake>| fake.looks.load(Ordering::SeqCst);
    assert_eq!(looks(&fake), 0);
    let mut one = watch(&served, "/api/v1/events");
    let mut two = watch(&served, "/api/v1/events");
    for listener in [&mut one, &mut two] {
        listener.chunk().unwrap();
        news(listener);
    }
    until("both are told for one look", || looks(&fake) >= 2);
    drop((one, two));
    // The answers end when something is sent to who has gone; then nobody asks.
    let (_never, stop) = crossbeam_channel::bounded::<()>(0);
    until("nobody asks any more", || {
        let before = looks(&fake);
        gradcast::clock::pause(Duration::from_millis(1200), &stop);
        looks(&fake) == before
    });
    fake.set("front", |state| state.reconnects = 9);
    let mut three = watch(&served, "/api/v1/events");
    three.chunk().unwrap();
    assert_eq!(news(&mut three)[1].1["reconnects"], 9, "a new listener is told what is, not what was");
}

#[test]
fn live_answers_end_with_the_service() {
    let fake = Fake::with(&["front"]);
    fake.show("front", picture(1, 100));
    let served = Served::new(fake, None);
    let mut live =
        ["/api/v1/events", "/api/v1/previews?streams=front", "/api/v1/streams/front/preview.mjpeg"].map(|path| watch(&served, path));
    served.stop();
    for connection in &mut live {
        assert!(connection.rest().ends_with(b"0\r\n\r\n"), "ended, not cut off");
    }
}
