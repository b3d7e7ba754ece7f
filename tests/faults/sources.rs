//! Cameras that fail in every way that a camera has, each beside one that does not.

use crate::cameras::{Camera, CameraSettings};
use crate::daemon::Daemon;
use crate::stage::{Bystander, Scene, engine, look_at, retries, small_network, test_stream, wait_for_balance, wait_for_explained};
use crate::viewer::{Seen, brightness, difference, keep};

/// Bars that stand still, and a corner of noise: a picture that is shown again has the same noise.
fn bars() -> CameraSettings {
    CameraSettings { size_px: (320, 240), fps: 10, pattern: "smpte", ..CameraSettings::default() }
}

/// The white bar of the pattern is at least so bright, and darkened within that.
const WHITE: f64 = 180.0;
const DARKENED: std::ops::Range<f64> = 60.0..150.0;

fn white_bar(seen: &Seen) -> f64 {
    brightness(&seen.picture, 0.03..0.11, 0.35..0.5)
}

/// How much the noise changed.
fn noise(one: &Seen, other: &Seen) -> f64 {
    difference(&one.picture, &other.picture, 0.8..0.98, 0.78..0.9)
}

/// What a viewer saw while a camera was away: the last picture, so many times more, then a plate, then the camera again.
fn check_pictures(name: &str, seen: &[Seen], shown_again: usize) {
    let is_plate = |seen: &Seen| white_bar(seen) < WHITE;
    let (first, last) = (seen.iter().position(is_plate).expect("a plate"), seen.iter().rposition(is_plate).expect("a plate"));
    keep(&seen[first - 1].picture, &format!("{name}-last-picture"));
    keep(&seen[last].picture, &format!("{name}-plate"));
    keep(&seen.last().unwrap().picture, &format!("{name}-again"));
    let plates = &seen[first..=last];
    assert!(plates.iter().all(|seen| DARKENED.contains(&white_bar(seen))), "{:?}", plates.iter().map(white_bar).collect::<Vec<_>>());
    let text = |seen: &Seen| brightness(&seen.picture, 0.0..0.5, 0.93..1.0);
    assert!(plates.iter().all(|seen| text(seen) > 3.0), "white on black, at the bottom of every plate");
    let live = noise(&seen[0], &seen[1]);
    let again = seen[..first].windows(2).rev().take_while(|pair| noise(&pair[0], &pair[1]) < live / 4.0).count();
    assert!(again >= shown_again, "the last picture is shown {again} times before the plate; the camera's noise is {live}");
    let back = &seen[last + 1..];
    assert!(back.len() >= 2 && noise(&back[0], back.last().unwrap()) > live / 2.0, "it moves again");
    let times: Vec<f64> = seen.iter().map(|seen| seen.time.as_secs_f64()).collect();
    assert!(times.is_sorted_by(|one, next| one < next), "times grow: {times:?}");
    eprintln!("{name}: the last picture {again} times more, {} plates", plates.len());
}

fn wait_for_a_plate(scene: &Scene) {
    let begin = scene.viewer.count();
    scene.viewer.waits_for("a plate", || scene.viewer.since(begin).last().is_some_and(|seen| white_bar(seen) < WHITE));
}

/// Waits until the state's last words have these in them.
fn wait_for_words(scene: &mut Scene, words: &str) {
    scene.daemon.wait_for(words, |daemon| daemon.state("yard")["last_error"].as_str().is_some_and(|said| said.contains(words)));
}

#[test]
fn a_camera_that_is_killed_and_restarted() {
    let mut scene = Scene::start(bars());
    let begin = scene.viewer.count();
    scene.viewer.sees(5);
    scene.camera.kill();
    println!("killed: {}", scene.wait_until_down());
    wait_for_words(&mut scene, "connection refused");
    wait_for_balance(&mut scene.daemon, "yard");
    wait_for_a_plate(&scene);
    scene.viewer.sees(2);
    assert!(scene.daemon.metric("placeholder_frames_total{stream=\"yard\"}") >= Some(3.0));
    scene.gate.noticed_nothing(&mut scene.daemon);
    scene.camera.restart();
    scene.wait_until_up();
    check_pictures("killed", &scene.viewer.since(begin), 2);
    assert!(retries(&scene.daemon, "yard", "error") + retries(&scene.daemon, "yard", "ended") >= 2.0);
    assert_eq!(retries(&scene.daemon, "yard", "stalled"), 0.0);
    scene.gate.noticed_nothing(&mut scene.daemon);
}

#[test]
fn a_camera_that_hangs_without_a_word() {
    let mut scene = Scene::start(bars());
    let begin = scene.viewer.count();
    scene.viewer.sees(5);
    scene.camera.hang(true);
    let why = scene.wait_until_down();
    assert!(why.contains("no frame came for 3."), "{why}");
    assert_eq!(retries(&scene.daemon, "yard", "stalled"), 1.0);
    // A first connection that is not answered is given as long.
    scene.daemon.wait_for("a second try", |daemon| retries(daemon, "yard", "stalled") == 2.0);
    wait_for_balance(&mut scene.daemon, "yard");
    scene.gate.noticed_nothing(&mut scene.daemon);
    scene.camera.hang(false);
    scene.wait_until_up();
    // Whoever is connected may only be slow: nothing is sent again before it counts as away.
    check_pictures("hung", &scene.viewer.since(begin), 0);
    scene.gate.noticed_nothing(&mut scene.daemon);
}

#[test]
fn a_camera_that_changes_its_size() {
    let mut scene = Scene::start(bars());
    let since = scene.daemon.state("yard")["since_unix_seconds"].clone();
    scene.camera.resize(320, 120);
    // Twice as wide as high: the bars in the middle, borders above and below.
    let fitted = |seen: &Seen| brightness(&seen.picture, 0.0..1.0, 0.02..0.2) < 20.0 && white_bar(seen) > WHITE;
    let begin = scene.viewer.count();
    scene.viewer.waits_for("borders", || scene.viewer.since(begin).last().is_some_and(fitted));
    scene.viewer.sees(5);
    keep(&scene.viewer.last(), "resized");
    assert!(fitted(scene.viewer.since(begin).last().unwrap()));
    assert!(scene.daemon.logged("320x240 I420") && scene.daemon.logged("320x120 I420"), "both sizes are told");
    let state = scene.daemon.state("yard");
    assert_eq!((&state["since_unix_seconds"], &state["up"]), (&since, &"up".into()), "{state}");
    assert_eq!((&state["size_px"], &state["reconnects"]), (&serde_json::json!([320, 240]), &0.into()), "{state}");
    assert_eq!(state["frames"]["dropped"]["caps_change"], 0, "{state}");
    // And when it is gone, its own picture is what the plate is made of.
    scene.camera.kill();
    scene.wait_until_down();
    wait_for_balance(&mut scene.daemon, "yard");
    wait_for_a_plate(&scene);
    scene.camera.restart();
    scene.wait_until_up();
    scene.viewer.waits_for("the same borders", || scene.viewer.since(begin).last().is_some_and(fitted));
    scene.gate.noticed_nothing(&mut scene.daemon);
}

#[test]
fn a_camera_that_sends_rubbish() {
    let mut scene = Scene::start(bars());
    // In its packets: what can be decoded is shown, whatever it is.
    scene.camera.spoil_packets(true);
    std::thread::sleep(std::time::Duration::from_secs(2));
    let (decoded, accounted) = scene.daemon.accounts("yard");
    assert!(accounted <= decoded, "{accounted} of {decoded}");
    scene.camera.spoil_packets(false);
    scene.wait_until_up();
    let begin = scene.viewer.count();
    scene.viewer.waits_for("bars again", || scene.viewer.since(begin).last().is_some_and(|seen| white_bar(seen) > WHITE));
    // On the connection itself.
    let retried = |daemon: &Daemon| daemon.state("yard")["reconnects"].as_u64().unwrap();
    let before = retried(&scene.daemon);
    scene.camera.send_rubbish(true);
    println!("rubbish: {}", scene.wait_until_down());
    scene.daemon.wait_for("another try", |daemon| retried(daemon) >= before + 2);
    println!("rubbish at the beginning: {}", scene.daemon.state("yard")["last_error"]);
    wait_for_balance(&mut scene.daemon, "yard");
    scene.gate.noticed_nothing(&mut scene.daemon);
    scene.camera.send_rubbish(false);
    scene.wait_until_up();
    scene.gate.noticed_nothing(&mut scene.daemon);
}

#[test]
fn a_camera_that_refuses_credentials() {
    let secret = small_network().with_file_name("secret");
    std::fs::write(&secret, "hunter2\n").unwrap();
    let keys = format!(", user = \"admin\", password_file = \"{}\"", secret.display());
    let mut scene = Scene::with(CameraSettings { credentials: Some(("admin", "hunter2")), ..bars() }, &keys, "3s");
    // Whoever is connected is not asked again, so the connection has to break.
    scene.camera.refuse_credentials(true);
    scene.camera.send_rubbish(true);
    scene.wait_until_down();
    scene.camera.send_rubbish(false);
    wait_for_words(&mut scene, "check `user` and what `password_file` holds");
    wait_for_balance(&mut scene.daemon, "yard");
    wait_for_a_plate(&scene);
    scene.gate.noticed_nothing(&mut scene.daemon);
    scene.camera.refuse_credentials(false);
    scene.wait_until_up();
    for told in [scene.daemon.log().join("\n"), scene.daemon.get("/metrics").body, scene.daemon.get("/api/v1/streams").body] {
        assert!(!told.contains("hunter2"), "{told}");
    }
    scene.gate.noticed_nothing(&mut scene.daemon);
}

#[test]
fn a_camera_that_is_not_there_from_the_beginning() {
    let mut camera = Camera::start(bars());
    camera.kill();
    let streams = format!(
        "[[stream]]\nname = \"yard\"\nsource = \"{}\"\nsize = \"320x240\"\nopacity = 0\n[[stream.sink]]\nkind = \"rtsp\"\n{}",
        camera.url(),
        test_stream("gate")
    );
    let mut daemon = Daemon::with(&engine(), &streams);
    let gate = Bystander::watch(&mut daemon, "gate");
    daemon
        .wait_for("words", |daemon| daemon.state("yard")["last_error"].as_str().is_some_and(|words| words.contains("connection refused")));
    let viewer = look_at(&daemon, "yard");
    viewer.sees(3);
    keep(&viewer.last(), "never-there");
    let is_black = |seen: &Seen| brightness(&seen.picture, 0.0..1.0, 0.0..0.8) < 5.0;
    assert!(viewer.since(0).iter().all(is_black), "nothing but a text on black");
    assert!(brightness(&viewer.last(), 0.0..0.5, 0.93..1.0) > 3.0);
    gate.noticed_nothing(&mut daemon);
    camera.restart();
    wait_for_explained(&mut daemon, "yard", 5);
    viewer.waits_for("bars", || viewer.since(0).last().is_some_and(|seen| white_bar(seen) > WHITE));
    gate.noticed_nothing(&mut daemon);
}

#[test]
fn a_camera_that_is_slow() {
    let mut scene = Scene::with(CameraSettings { pattern: "snow", ..bars() }, "", "1m");
    scene.camera.slow(Some(12_000));
    let decoded = |daemon: &Daemon| daemon.accounts("yard").0;
    let before = decoded(&scene.daemon);
    scene.daemon.wait_for("a trickle of frames", |daemon| decoded(daemon) >= before + 4);
    scene.viewer.sees(3);
    scene.gate.noticed_nothing(&mut scene.daemon);
    scene.camera.slow(None);
    scene.wait_until_up();
    let state = scene.daemon.state("yard");
    assert_eq!((&state["reconnects"], &state["last_error"]), (&0.into(), &serde_json::Value::Null), "slow is no fault: {state}");
    scene.camera.hang(true);
    wait_for_balance(&mut scene.daemon, "yard");
    scene.gate.noticed_nothing(&mut scene.daemon);
}
