//! A viewer that stops reading.

use std::io::Read;

use gradcast::video::live::{OutputSettings, SinkKind};

use crate::rtsp::{Client, Viewer, server};
use crate::stage::{PATIENCE, Stage, settings, sink, wait_for};

#[test]
fn a_viewer_that_stops_reading_is_cut_off_and_disturbs_nobody() {
    let server = server(None);
    let usual = settings(vec![sink("view", SinkKind::Rtsp { path: "front".to_owned() })]);
    let mut stage = Stage::start(&OutputSettings { bitrate_kbps: 20_000, ..usual }, Some(&server));
    // So much that the kernel's buffers are soon full.
    stage.noise = true;
    let film = stage.film(15);
    let url = format!("rtsp://127.0.0.1:{}/front", server.port());
    let other = Viewer::start(&url, "tcp", None);
    other.sees(5);
    let mut stalled = Client::connect(server.port(), "front");
    stalled.play();
    let mut some = [0; 1000];
    stalled.stream.read_exact(&mut some).unwrap();
    wait_for("both", || server.viewers("front") == 2);
    let started = std::time::Instant::now();
    wait_for("one of them to be cut off", || {
        assert_eq!(other.fault(), None);
        server.viewers("front") == 1
    });
    println!("cut off after {:?}", started.elapsed());
    other.sees(20);
    // Its connection ends, too.
    let mut rest = Vec::new();
    let ended = stalled.stream.read_to_end(&mut rest);
    assert!(ended.is_ok() || ended.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset));
    let lost = film.counted.lost("view");
    assert_eq!(lost, 0, "nothing was thrown away for the others");
    let (stage, pushed) = film.cut();
    let counted = stage.counted.clone();
    assert!(stage.output.close(PATIENCE));
    assert_eq!(counted.outcome.get() + counted.dropped.get(), pushed);
}
