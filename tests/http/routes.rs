//! What each route answers, and each of its errors.

use std::sync::atomic::Ordering;

use gradcast::service::Faults;
use serde_json::json;

use crate::client::{get, request, send};
use crate::fake_service::{Fake, Served};

#[test]
fn metrics_are_exposition_text() {
    let served = Served::new(Fake::with(&[]), None);
    get(served.address, "/metrics");
    let answer = get(served.address, "/metrics");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/plain; version=0.0.4; charset=utf-8")));
    assert!(answer.text().contains("# TYPE gradcast_scrapes_total counter\ngradcast_scrapes_total 2\n"), "{}", answer.text());
}

#[test]
fn health_and_readiness_are_told_apart_and_said_in_words() {
    let fake = Fake::with(&["front"]);
    let served = Served::new(fake.clone(), None);
    let said = |path| {
        let answer = get(served.address, path);
        assert!(answer.header("content-type").unwrap().starts_with("text/plain"));
        (answer.status, answer.text().to_owned())
    };
    assert_eq!((said("/-/healthy"), said("/-/ready")), ((200, "healthy\n".into()), (200, "ready\n".into())));
    *fake.why_not_ready.lock().unwrap() = Some("the network is being loaded".into());
    assert_eq!((said("/-/healthy").0, said("/-/ready")), (200, (503, "the network is being loaded\n".into())));
    fake.healthy.store(false, Ordering::SeqCst);
    assert_eq!(said("/-/healthy"), (503, "something hangs; the process should be restarted\n".into()));
}

#[test]
fn streams_are_listed_and_shown() {
    let fake = Fake::with(&["front", "back"]);
    fake.set("back", |state| state.last_error = Some("no answer".into()));
    let served = Served::new(fake, None);
    let all = get(served.address, "/api/v1/streams").json();
    let names: Vec<_> = all.as_array().unwrap().iter().map(|state| state["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["front", "back"]);
    let one = get(served.address, "/api/v1/streams/back").json();
    assert_eq!((&one["last_error"], &one["up"], &one["frames"]["dropped"]["engine_queue"]), (&json!("no answer"), &json!("up"), &json!(0)));
    for path in ["/api/v1/streams/side", "/api/v1/streams/%ff", "/api/v1/streams/fr%6fnt%00"] {
        let answer = get(served.address, path);
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.error().contains("no such stream") || answer.error().contains("there is no stream"), "{}", answer.error());
    }
    assert_eq!(get(served.address, "/api/v1/streams/fr%6fnt").json()["name"], "front");
}

#[test]
fn a_stream_is_added_changed_and_removed() {
    let fake = Fake::with(&[]);
    let served = Served::new(fake.clone(), None);
    let answer = send(served.address, "POST", "/api/v1/streams", r#"{"name": "side", "source": "/dev/video0", "opacity": 0.25}"#);
    assert_eq!((answer.status, answer.header("location")), (201, Some("/api/v1/streams/side")));
    assert_eq!(answer.json()["look"]["opacity"], 0.25);
    let twice = send(served.address, "POST", "/api/v1/streams", r#"{"name": "side", "source": "/dev/video0"}"#);
    assert_eq!((twice.status, twice.error()), (409, "there is a stream \"side\" already; change it, or take another name".into()));

    let answer = send(served.address, "PATCH", "/api/v1/streams/side", r#"{"opacity": 0.75, "method": "simple-fullgrad"}"#);
    assert_eq!((answer.status, &answer.json()["look"]["opacity"]), (200, &json!(0.75)));
    assert_eq!(send(served.address, "PATCH", "/api/v1/streams/other", "{}").status, 404);
    assert_eq!(fake.asked.lock().unwrap()[2].2, json!({"opacity": 0.75, "method": "simple-fullgrad"}));

    let answer = request(served.address, "DELETE", "/api/v1/streams/side", &[], "");
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    assert_eq!(request(served.address, "DELETE", "/api/v1/streams/side", &[], "").status, 404);
    assert_eq!(get(served.address, "/api/v1/streams").text(), "[]");
}

#[test]
fn all_faults_of_a_document_are_listed() {
    let fake = Fake::with(&["front"]);
    let served = Served::new(fake, None);
    let answer = send(served.address, "PATCH", "/api/v1/streams/front", r#"{"opacity": 2, "colour_map": "pink"}"#);
    assert_eq!((answer.status, answer.error()), (422, "the document has 2 faults; nothing was changed".into()));
    let faults = answer.json()["faults"].as_array().unwrap().clone();
    assert!(faults.contains(&json!("opacity: 2 is no number from 0 to 1")), "{faults:?}");
    let answer = send(served.address, "POST", "/api/v1/streams", r#"{"name": "a b", "source": "x"}"#);
    assert_eq!((answer.status, answer.error()), (422, "the document has a fault; nothing was changed".into()));
    assert_eq!(answer.json()["faults"], json!(["name: has to be 1 to 64 letters, digits, - and _"]));
    for wrong in ["[]", "3", "null", "\"opacity\""] {
        assert_eq!(send(served.address, "PATCH", "/api/v1/streams/front", wrong).status, 422, "{wrong}");
    }
}

#[test]
fn bodies_that_are_no_json_are_refused() {
    let served = Served::new(Fake::with(&["front"]), None);
    let deep = "[".repeat(10_000);
    for body in ["", "{", "{\"a\": 1,}", "opacity=1", "{\"opacity\": NaN}", "{\"opacity\": 1} x", deep.as_str()] {
        let answer = send(served.address, "PATCH", "/api/v1/streams/front", body);
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.error().starts_with("the body is no JSON: "), "{}", answer.error());
    }
    for kind in ["Content-Type: text/plain", "Content-Type: application/x-www-form-urlencoded", "X: y", "Content-Type: application/jsonx"] {
        for (method, path) in [("POST", "/api/v1/streams"), ("PATCH", "/api/v1/streams/front")] {
            let answer = request(served.address, method, path, &[kind], "{}");
            assert_eq!(answer.status, 415, "{kind}");
            assert!(answer.error().contains("application/json"));
        }
    }
    let accepted = request(served.address, "PATCH", "/api/v1/streams/front", &["Content-Type: Application/JSON; charset=utf-8"], "{}");
    assert_eq!(accepted.status, 200);
}

#[test]
fn the_configuration_is_read_again() {
    let fake = Fake::with(&[]);
    let served = Served::new(fake.clone(), None);
    *fake.reloaded.lock().unwrap() = Ok(vec!["[engine] model".into()]);
    let answer = request(served.address, "POST", "/api/v1/reload", &[], "");
    assert_eq!((answer.status, answer.json()), (200, json!({"from_next_start": ["[engine] model"]})));
    *fake.reloaded.lock().unwrap() = Err(Faults(vec!["a.toml:3: one".into(), "a.toml:5: two".into()]));
    let answer = request(served.address, "POST", "/api/v1/reload", &[], "");
    assert_eq!((answer.status, answer.error()), (422, "the configuration has 2 faults; nothing was changed".into()));
    assert_eq!(answer.json()["faults"], json!(["a.toml:3: one", "a.toml:5: two"]));
}

#[test]
fn options_are_what_the_engine_offers() {
    let served = Served::new(Fake::with(&[]), None);
    let options = get(served.address, "/api/v1/options").json();
    assert_eq!((&options["version"], &options["methods"][0]), (&json!(env!("CARGO_PKG_VERSION")), &json!("fullgrad")));
    assert_eq!((&options["colour_maps"][0], &options["labels"][1]), (&json!("turbo"), &json!("tabby cat")));
}

#[test]
fn a_service_that_ends_says_so() {
    let fake = Fake::with(&["front"]);
    fake.ending.store(true, Ordering::SeqCst);
    let served = Served::new(fake, None);
    for (method, path) in [("POST", "/api/v1/streams"), ("PATCH", "/api/v1/streams/front"), ("DELETE", "/api/v1/streams/front")] {
        let answer = send(served.address, method, path, "{}");
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{method}");
        assert!(answer.error().contains("starting or ending"), "{}", answer.error());
    }
}

#[test]
fn what_is_not_there_is_said_in_json() {
    let served = Served::new(Fake::with(&["front"]), None);
    for path in
        ["/nothing", "/api/v1", "/api/v1/streams/", "/api/v1/streams/front/preview.gif", "/page/", "/page/none.js", "/page/..%2fmod.rs"]
    {
        let answer = get(served.address, path);
        assert_eq!(answer.status, 404, "{path}");
        answer.error();
    }
    for (method, path, allow) in [
        ("PUT", "/api/v1/streams", "GET,HEAD,POST"),
        ("POST", "/api/v1/streams/front", "GET,HEAD,PATCH,DELETE"),
        ("GET", "/api/v1/reload", "POST"),
        ("DELETE", "/metrics", "GET,HEAD"),
        ("TRACE", "/", "GET,HEAD"),
    ] {
        let answer = send(served.address, method, path, "");
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allow)), "{method} {path}");
        assert!(answer.error().contains(method));
    }
}

#[test]
fn a_port_that_is_taken_is_named_with_what_to_do() {
    let served = Served::new(Fake::with(&[]), None);
    let mut settings = crate::fake_service::settings(None);
    settings.listen = served.address;
    let error = Served::start(Fake::with(&[]), &settings, Default::default()).err().expect("the port is taken");
    let expected = format!(
        "HTTP at {}: the port is taken; end the program that has it (ss -ltnp shows which), or set another [http] listen",
        served.address
    );
    assert_eq!((error.to_string(), error.exit_code()), (expected, 1));
    settings.listen = "192.0.2.1:0".parse().unwrap();
    let error = Served::start(Fake::with(&[]), &settings, Default::default()).err().expect("an address of nobody");
    assert!(error.to_string().starts_with("HTTP at 192.0.2.1:0: this machine has no such address; "), "{error}");
}
