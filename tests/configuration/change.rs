//! Changes while a service runs: the file again, and documents over HTTP.

use std::fs;

use serde_json::json;

use super::{Place, SECRET};

const CAMERA: &str = "[[stream]]\nname = 'a'\nsource = { kind = 'rtsp', url = 'rtsp://c/x', user = 'u', password_file = 'secret' }\n";

fn write(place: &Place, text: &str) {
    fs::write(place.path("g.toml"), format!("engine.model = 'net.toml'\n{text}")).unwrap();
}

#[test]
fn a_file_is_read_again_whole_or_not_at_all() {
    let place = Place::new();
    let configuration = place.open(CAMERA).unwrap().configuration;
    let (streams, later) = configuration.reload().unwrap();
    assert_eq!((streams.len(), later.len()), (1, 0), "an unchanged file");

    write(&place, &format!("engine.max_batch = 4\nlog.level = 'debug'\n{CAMERA}opacity = 0.25\n[[stream]]\nname = 'b'\nsource = 'x.mp4'"));
    let (streams, later) = configuration.reload().unwrap();
    assert_eq!(streams.iter().map(|stream| stream.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((streams[0].look.overlay.opacity, later), (0.25, vec!["engine.max_batch".to_owned(), "log.level".to_owned()]));

    write(&place, &format!("{CAMERA}opacity = 2\nfloor = 3\n"));
    let faults = configuration.reload().unwrap_err().0;
    assert!(faults.len() == 2 && faults[0].ends_with("g.toml:5: stream.a.opacity: is 2; give a number from 0 to 1"), "{faults:?}");

    write(&place, "engine.methods = ['grad-cam']\n[[stream]]\nname = 'b'\nsource = 'x.mp4'\nmethod = 'grad-cam'");
    let faults = configuration.reload().unwrap_err().0;
    assert!(faults.len() == 1 && faults[0].contains("which takes a new start"), "the engine does not have it: {faults:?}");

    write(&place, "[[stream]]\nname = 'b'\nsource = 'x.mp4'\nsink = ['rtsp']");
    let faults = configuration.reload().unwrap_err().0;
    assert!(faults.len() == 1 && faults[0].contains("sink[1]: needs our own RTSP server, which was not started"), "{faults:?}");

    fs::write(place.path("g.toml"), "engine.model = 'none.toml'\n").unwrap();
    let faults = configuration.reload().unwrap_err().0;
    assert!(faults.len() == 1 && faults[0].contains("engine.model: ") && faults[0].contains("none.toml"), "{faults:?}");
    fs::remove_file(place.path("g.toml")).unwrap();
    assert!(configuration.reload().unwrap_err().0[0].contains("cannot be read"));
}

#[test]
fn some_keys_of_a_running_stream_change() {
    let place = Place::new();
    let opened = place.open(&format!("http.token_file = 'secret'\n{CAMERA}every = 3\nsink = ['x/']\n")).unwrap();
    let (configuration, stream) = (opened.configuration, &opened.settings.streams[0]);
    let changed = configuration.change(stream, &json!({ "opacity": 0.4, "target": "green", "every": null })).unwrap();
    assert_eq!((changed.look.overlay.opacity, changed.look.target.text.as_str(), changed.look.every), (0.4, "green", 1));
    assert_eq!((&changed.source.input, &changed.output.sinks), (&stream.source.input, &stream.output.sinks), "with its password");

    let changed = configuration.change(stream, &json!({ "source": { "transport": "udp" } })).unwrap();
    let document = configuration.document(&changed);
    assert_eq!((&document["source"]["transport"], &document["source"]["url"]), (&json!("udp"), &json!("rtsp://c/x")));
    let changed = configuration.change(stream, &json!({ "source": { "kind": "test" }, "sink": [] })).unwrap();
    assert_eq!(configuration.document(&changed)["source"], json!({ "kind": "test", "pattern": "ball", "size": "640x360", "fps": 15 }));
    assert!(changed.output.sinks.is_empty());

    let faults = configuration.change(stream, &json!({ "opacty": 1, "floor": "much", "target": "violet", "source": { "latency": 3 } }));
    let wanted = [
        "opacty: there is no such key; perhaps opacity",
        "source.latency: is a number without a unit; give a text with one, as \"20ms\"",
        "floor: is a text; give a number from 0 to 1",
        "target: \"violet\": none of the network's 3 labels",
    ];
    assert_eq!(faults.unwrap_err().0, wanted);
    assert!(configuration.change(stream, &json!({ "name": "b" })).unwrap_err().0[0].starts_with("name: a stream keeps its name"));
    assert!(configuration.change(stream, &json!(["opacity"])).unwrap_err().0[0].contains("no table of keys"));
    assert_eq!(configuration.stream(&json!("front")).unwrap_err().0, ["is a text; write it as a table of keys"]);
}

#[test]
fn streams_that_cannot_run_side_by_side_are_found() {
    let place = Place::new();
    let text = "[[stream]]\nname = 'a'\nsource = '/dev/video0'\nsink = ['rtsp', 'x/']\n";
    let opened = place.open(text).unwrap();
    let a = &opened.settings.streams[0];
    let document = json!({ "name": "b", "source": "/dev/video1", "sink": [{ "kind": "rtsp", "path": "a" }, "y/"] });
    let b = opened.configuration.stream(&document).unwrap();
    let faults = opened.configuration.together(&[a, &b]).unwrap_err().0;
    assert_eq!(faults, ["stream.b.sink[1].path: a path is one stream's, and stream.a.sink[1].path has it already; give another"]);
    let apart = opened.configuration.change(&b, &json!({ "sink": ["rtsp"] })).unwrap();
    assert_eq!(opened.configuration.together(&[a, &apart]), Ok(()));
}

#[test]
fn without_a_token_documents_cannot_send_secrets_anywhere() {
    let place = Place::new();
    let opened = place.open(CAMERA).unwrap();
    let (configuration, stream) = (opened.configuration, &opened.settings.streams[0]);
    assert!(configuration.change(stream, &json!({ "opacity": 0.4 })).is_ok(), "what the file says stays");
    let elsewhere = json!({ "source": { "url": "rtsp://elsewhere/x" } });
    let file = json!({ "name": "b", "source": { "kind": "uri", "uri": "http://elsewhere", "user": "u", "password_file": "secret" } });
    let text = json!({ "name": "b", "source": "x.mp4", "sink": [{ "kind": "gstreamer", "text": "filesink location=/x" }] });
    for faults in [configuration.change(stream, &elsewhere), configuration.stream(&file), configuration.stream(&text)] {
        let faults = faults.unwrap_err().0;
        assert!(faults.len() == 1 && faults[0].contains("no token_file") && !faults[0].contains(SECRET), "{faults:?}");
    }
}
