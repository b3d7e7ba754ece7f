//! SIGHUP with a good, a bad and an unchanged file, under load.

use serde_json::json;

use super::daemon::Daemon;
use super::orders::TWO;

/// The second with another look, and one more.
fn three() -> String {
    let gate = "[[stream]]\nname = \"gate\"\nsource = { kind = \"test\", pattern = \"snow\", size = \"160x120\", fps = 5 }\n";
    format!("{}opacity = 0.9\n\n{gate}", TWO.replace("every = 2\n", ""))
}

fn reload(daemon: &mut Daemon, outcome: &str) {
    let series = format!("config_reloads_total{{outcome=\"{outcome}\"}}");
    let before = daemon.metric(&series).expect("exported from the start");
    daemon.signal(libc::SIGHUP);
    daemon.wait_for(&series, |daemon| daemon.metric(&series) == Some(before + 1.0));
}

#[test]
fn a_good_file_changes_what_it_says_and_nothing_else() {
    let mut daemon = Daemon::start(TWO);
    daemon.wait_for_frames("front", 3);
    let since = daemon.state("front")["since_unix_seconds"].clone();
    daemon.rewrite("", &three());
    reload(&mut daemon, "ok");
    daemon.wait_for_frames("gate", 3);
    daemon.wait_for("another opacity", |daemon| daemon.state("back")["look"]["opacity"] == json!(0.9));
    assert_eq!(daemon.state("back")["configuration"]["every"], json!(1));

    // And back again: the third goes.
    daemon.rewrite("", TWO);
    reload(&mut daemon, "ok");
    assert_eq!(daemon.get("/api/v1/streams/gate").status, 404);
    daemon.wait_for_frames("front", 3);
    assert_eq!(daemon.state("front")["since_unix_seconds"], since, "it was never interrupted");
}

#[test]
fn a_bad_file_is_refused_whole_and_the_old_one_goes_on() {
    let mut daemon = Daemon::start(TWO);
    daemon.wait_for_frames("front", 3);
    daemon.rewrite("", &three().replace("opacity = 0.9", "opacitiy = 0.9").replace("fps = 5 }\n\"", "").replace("\"snow\"", "7"));
    reload(&mut daemon, "refused");
    daemon.wait_for("the wrong key and the right one", |daemon| daemon.logged("opacitiy") && daemon.logged("opacity"));
    daemon.wait_for("the other fault too", |daemon| daemon.logged("pattern"));
    assert_eq!(daemon.get("/api/v1/streams/gate").status, 404);
    assert_eq!(daemon.get("/-/ready").status, 200);
    daemon.wait_for_frames("front", 3);
}

#[test]
fn an_unchanged_file_changes_nothing() {
    let mut daemon = Daemon::start(TWO);
    daemon.wait_for_frames("back", 3);
    let since = ["front", "back"].map(|stream| daemon.state(stream)["since_unix_seconds"].clone());
    reload(&mut daemon, "ok");
    daemon.wait_for_frames("back", 3);
    assert_eq!(["front", "back"].map(|stream| daemon.state(stream)["since_unix_seconds"].clone()), since);
    assert!(!daemon.logged("stream changed"));
}

#[test]
fn what_came_over_http_stays() {
    let mut daemon = Daemon::start(TWO);
    let source = json!({ "kind": "test", "pattern": "snow", "size": "160x120", "fps": 5 });
    assert_eq!(daemon.post("/api/v1/streams", &json!({ "name": "guest", "source": source })).status, 201);
    reload(&mut daemon, "ok");
    daemon.wait_for_frames("guest", 3);
    daemon.rewrite("", &three().replace("\"gate\"", "\"guest\""));
    reload(&mut daemon, "refused");
    daemon.wait_for("why", |daemon| daemon.logged("was added over HTTP"));
}
