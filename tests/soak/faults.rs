//! What goes wrong, in turn.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::stage::Stage;
use super::viewers::Client;

/// How long a camera stays away.
const AWAY: Duration = Duration::from_secs(3);
/// Scrapes of a storm, and how many go on at once.
const SCRAPES: usize = 200;
const SCRAPERS: usize = 4;

/// A fault and its end.
pub struct Fault {
    pub name: &'static str,
    /// Streams that may notice it; the others go on as if nothing were.
    pub hits: &'static [&'static str],
    /// Makes it, ends it, and waits until all is well. How long that took from its end on; from its beginning, where it has none.
    pub make: fn(&mut Stage) -> Duration,
}

/// Those first that even a short run has to see.
pub const FAULTS: [Fault; 15] = [
    Fault { name: "camera killed, back after 3 s", hits: &["front"], make: killed },
    Fault { name: "stream removed, and added again over HTTP", hits: &["guest"], make: removed },
    Fault { name: "camera hangs without a word", hits: &["back"], make: hangs },
    Fault { name: "viewer over RTSP stops reading", hits: &[], make: viewer_stops_reading },
    Fault { name: "SIGHUP, one stream changed", hits: &[], make: reload_changed },
    Fault { name: "folder of segments removed", hits: &[], make: folder_removed },
    Fault { name: "camera changes its size", hits: &[], make: resized },
    Fault { name: "SIGHUP, nothing changed", hits: &[], make: reload_unchanged },
    Fault { name: "200 scrapes, 4 at once", hits: &[], make: scrape_storm },
    Fault { name: "preview's viewer stops reading", hits: &[], make: preview_stops_reading },
    Fault { name: "camera sends rubbish for RTSP", hits: &["front"], make: rubbish },
    Fault { name: "SIGHUP, the file is wrong", hits: &[], make: reload_wrong },
    Fault { name: "camera sends rubbish for pictures, for 3 s", hits: &["back"], make: spoilt },
    Fault { name: "method and target changed over HTTP", hits: &[], make: look_changed },
    Fault { name: "size of the output changed over HTTP", hits: &["guest"], make: output_resized },
];

fn killed(stage: &mut Stage) -> Duration {
    let start = Instant::now();
    stage.front.kill();
    stage.wait_until_down("front");
    thread::sleep(AWAY.saturating_sub(start.elapsed()));
    stage.front.restart();
    stage.flows_again("front")
}

fn hangs(stage: &mut Stage) -> Duration {
    stage.back.hang(true);
    stage.wait_until_down("back");
    stage.back.hang(false);
    stage.flows_again("back")
}

fn rubbish(stage: &mut Stage) -> Duration {
    stage.front.send_rubbish(true);
    stage.wait_until_down("front");
    stage.front.send_rubbish(false);
    stage.flows_again("front")
}

fn spoilt(stage: &mut Stage) -> Duration {
    stage.back.spoil_packets(true);
    thread::sleep(AWAY);
    stage.back.spoil_packets(false);
    stage.flows_again("back")
}

fn resized(stage: &mut Stage) -> Duration {
    stage.turns += 1;
    let (width_px, height_px) = if stage.turns % 2 == 1 { (240, 180) } else { (320, 240) };
    stage.front.resize(width_px, height_px);
    let took = stage.flows_again("front");
    assert_eq!(stage.daemon.state("front")["size_px"], json!([320, 240]), "viewers see no change");
    took
}

fn removed(stage: &mut Stage) -> Duration {
    stage.note_drops("guest");
    assert_eq!(stage.daemon.delete("/api/v1/streams/guest").status, 204);
    assert_eq!(stage.daemon.get("/api/v1/streams/guest").status, 404);
    stage.add_guest();
    stage.flows_again("guest")
}

fn output_resized(stage: &mut Stage) -> Duration {
    stage.turns += 1;
    let size = if stage.turns % 2 == 1 { "240x180" } else { "320x240" };
    stage.note_drops("guest");
    let changed = stage.daemon.patch("/api/v1/streams/guest", &json!({ "size": size }));
    assert_eq!(changed.status, 200, "{}", changed.body);
    stage.flows_again("guest")
}

fn look_changed(stage: &mut Stage) -> Duration {
    let start = Instant::now();
    for (method, target) in [("gradient", "tiger shark"), ("fullgrad", "argmax")] {
        let changed = stage.daemon.patch("/api/v1/streams/guest", &json!({ "method": method, "target": target }));
        assert_eq!(changed.status, 200, "{}", changed.body);
        stage.daemon.wait_for("another look", |daemon| daemon.state("guest")["look"]["method"] == json!(method));
        stage.flows_again("guest");
    }
    start.elapsed()
}

fn reload(stage: &mut Stage, outcome: &str) -> Duration {
    let series = format!("config_reloads_total{{outcome=\"{outcome}\"}}");
    let before = stage.daemon.metric(&series).expect("exported from the start");
    let start = Instant::now();
    stage.daemon.signal(libc::SIGHUP);
    stage.daemon.wait_for(&series, |daemon| daemon.metric(&series) == Some(before + 1.0));
    start.elapsed()
}

fn reload_unchanged(stage: &mut Stage) -> Duration {
    reload(stage, "ok")
}

fn reload_changed(stage: &mut Stage) -> Duration {
    let mut took = Duration::ZERO;
    for opacity in [0.3, 0.6] {
        stage.rewrite(opacity);
        took += reload(stage, "ok");
        stage.daemon.wait_for("another opacity", |daemon| {
            let shown = daemon.state("film")["look"]["opacity"].as_f64();
            shown.is_some_and(|shown| (shown - opacity).abs() < 1e-3)
        });
    }
    took + stage.flows_again("film")
}

fn reload_wrong(stage: &mut Stage) -> Duration {
    stage.rewrite_wrong();
    let took = reload(stage, "refused");
    stage.rewrite(0.6);
    took
}

fn folder_removed(stage: &mut Stage) -> Duration {
    let folder = stage.daemon.path("back");
    let files = || std::fs::read_dir(&folder).map_or(0, Iterator::count);
    assert!(files() > 0, "it recorded before");
    // A file may come while it is being emptied.
    while std::fs::remove_dir_all(&folder).is_err() {}
    let start = Instant::now();
    stage.daemon.wait_for("a recording again", |_| files() > 0);
    start.elapsed()
}

fn viewer_stops_reading(stage: &mut Stage) -> Duration {
    let start = Instant::now();
    let mut viewer = Client::connect(stage.daemon.rtsp_port.expect("it serves RTSP"), "film");
    viewer.play();
    stage.keep(viewer);
    stage.viewers_see_on();
    start.elapsed()
}

fn preview_stops_reading(stage: &mut Stage) -> Duration {
    let start = Instant::now();
    let mut viewer = TcpStream::connect(("127.0.0.1", stage.daemon.http_port)).unwrap();
    viewer.write_all(b"GET /api/v1/streams/front/preview.mjpeg HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").unwrap();
    let mut some = [0; 1000];
    viewer.read_exact(&mut some).unwrap();
    assert!(some.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&some));
    stage.keep(viewer);
    stage.viewers_see_on();
    start.elapsed()
}

fn scrape_storm(stage: &mut Stage) -> Duration {
    let start = Instant::now();
    let daemon = &stage.daemon;
    thread::scope(|scope| {
        for _ in 0..SCRAPERS {
            scope.spawn(|| {
                for _ in 0..SCRAPES / SCRAPERS {
                    let scrape = daemon.get("/metrics");
                    assert!(scrape.status == 200 && scrape.body.contains("gradcast_frames_total{"), "{}", scrape.body);
                }
            });
        }
    });
    start.elapsed()
}
