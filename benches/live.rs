//! What live streams cost: added latency, CPU and memory for 1 to 16 streams, and a stream that nobody explains against GStreamer alone.
//!
//! Cameras are recorded clips, played over RTSP by this process, so that they cost little. CPU is what the system has counted for the
//! daemon (user and system), not time that has passed: it can be compared on a machine that has other work. Latency cannot.
//! `GRADCAST_PROGRAM` is the build that is measured, `GRADCAST_BENCH_SECONDS` [30] how long each measurement lasts.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../tests/cameras/mod.rs"]
mod cameras;
#[path = "../tests/daemon/mod.rs"]
mod daemon;
#[path = "../tests/soak/process.rs"]
mod process;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use cameras::clip::Clip;
use cameras::server::Server;
use daemon::Daemon;
use process::{Reading, reading};

/// Until caches are full and rates are steady.
const WARM_UP: Duration = Duration::from_secs(10);
/// Streams side by side of which the cost of one is taken.
const IDLE_STREAMS: usize = 4;
const FRAME_EDGES: &str = "frame_latency_seconds_bucket";

fn main() {
    let seconds = std::env::var("GRADCAST_BENCH_SECONDS").map_or(30, |text| text.parse().expect("seconds, as a whole number"));
    let span = Duration::from_secs(seconds);
    let folder = tempfile::tempdir().unwrap();
    let large = clip(folder.path(), 640, 360, 15);
    let small = clip(folder.path(), 320, 240, 5);
    println!("{seconds} s each, {} cores.\n", thread::available_parallelism().map_or(0, usize::from));
    latency(&large, span);
    idle(&large, span);
    curve(&small, span);
    memory(&small);
}

/// The bundled clip in this size and rate, as cameras code it.
fn clip(folder: &Path, width_px: usize, height_px: usize, fps: usize) -> PathBuf {
    let path = folder.join(format!("{width_px}x{height_px}.mp4"));
    let film = Path::new(env!("CARGO_MANIFEST_DIR")).join("media/demo_clip.mp4");
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-i"]).arg(film).args(["-an", "-vf", &format!("fps={fps},scale={width_px}:{height_px}")]);
    command.args(["-c:v", "libx264", "-preset", "veryfast", "-bf", "0", "-g", &fps.to_string(), "-b:v", "800k", "-pix_fmt", "yuv420p"]);
    assert!(command.arg(&path).status().expect("ffmpeg").success(), "{}", path.display());
    path
}

/// Cameras of one clip, and their URLs.
fn serve(clip: &Path, count: usize) -> (Server, Vec<String>) {
    let paths: Vec<String> = (0..count).map(|number| format!("/{number}")).collect();
    let server = Server::start(0, paths.iter().map(|path| (path.clone(), Clip::read(clip).factory())).collect());
    let urls = paths.iter().map(|path| format!("rtsp://127.0.0.1:{}{path}", server.port())).collect();
    (server, urls)
}

fn watching(urls: &[String], tables: &str, more: &str) -> Daemon {
    let stream =
        |(number, url): (usize, &String)| format!("[[stream]]\nname = \"s{number}\"\nsource = \"{url}\"\nsink = [\"rtsp\"]\n{more}\n");
    let mut daemon = Daemon::with(tables, &urls.iter().enumerate().map(stream).collect::<String>());
    for number in 0..urls.len() {
        daemon.wait_for_frames(&format!("s{number}"), 5);
    }
    thread::sleep(WARM_UP);
    daemon
}

/// Sums over all streams of the series that have this in their line.
fn sum(scrape: &str, series: &str, label: &str) -> f64 {
    let of_interest = |line: &&str| line.starts_with(&format!("gradcast_{series}{{")) && line.contains(label);
    scrape.lines().filter(of_interest).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// What happened between two scrapes: of each edge in seconds, how many frames were no slower.
fn between(before: &str, after: &str) -> Vec<(f64, f64)> {
    let mut edges: Vec<&str> =
        after.lines().filter(|line| line.contains(FRAME_EDGES)).filter_map(|line| line.split("le=\"").nth(1)?.split('"').next()).collect();
    edges.sort_by(|a, b| a.parse().unwrap_or(f64::INFINITY).total_cmp(&b.parse().unwrap_or(f64::INFINITY)));
    edges.dedup();
    let count = |edge: &str| {
        let label = format!("le=\"{edge}\"");
        sum(after, FRAME_EDGES, &label) - sum(before, FRAME_EDGES, &label)
    };
    edges.iter().map(|edge| (edge.parse().unwrap_or(f64::INFINITY), count(edge))).collect()
}

/// The edges that a quantile lies between.
fn quantile(counts: &[(f64, f64)], share: f64) -> String {
    let all = counts.last().map_or(0.0, |last| last.1);
    let at = counts.iter().position(|(_, count)| *count >= all * share).unwrap_or(0);
    let below = if at == 0 { 0.0 } else { counts[at - 1].0 };
    format!("{:.0} to {:.0} ms", below * 1e3, counts.get(at).map_or(f64::NAN, |edge| edge.0) * 1e3)
}

/// What a span costs a process, in seconds of one core for each second.
fn cores(before: &Reading, after: &Reading, span: Duration) -> f64 {
    after.cpu.saturating_sub(before.cpu).as_secs_f64() / span.as_secs_f64()
}

fn latency(film: &Path, span: Duration) {
    let (_server, urls) = serve(film, 2);
    let daemon = watching(&urls, "", "");
    let before = daemon.get("/metrics").body;
    let (start, from) = (Instant::now(), reading(daemon.pid()));
    thread::sleep(span);
    let (after, to) = (daemon.get("/metrics").body, reading(daemon.pid()));
    let counts = between(&before, &after);
    let grown = |series: &str, label: &str| sum(&after, series, label) - sum(&before, series, label);
    println!("Two streams of 640x360 at 15 frames a second, every frame explained:\n");
    println!("| added latency p50 | p99 | frames | late | dropped | cores |\n|---|---|---|---|---|---|");
    println!(
        "| {} | {} | {} | {} | {} | {:.2} |\n",
        quantile(&counts, 0.5),
        quantile(&counts, 0.99),
        grown("frames_decoded_total", ""),
        grown("frames_total", "outcome=\"late\""),
        grown("frames_total", "outcome=\"dropped\""),
        cores(&from, &to, start.elapsed())
    );
}

/// GStreamer's own decoding and encoding of the same cameras, with the settings of the daemon's encoder.
fn gst_launch(urls: &[String]) -> Child {
    let mut text = String::new();
    for url in urls {
        text += &format!(
            "rtspsrc location={url} protocols=tcp latency=200 ! decodebin ! queue max-size-buffers=2 ! x264enc speed-preset=veryfast \
             tune=zerolatency pass=cbr bitrate=2000 key-int-max=30 threads=1 option-string=scenecut=0 ! h264parse ! fakesink sync=false "
        );
    }
    let mut command = Command::new("gst-launch-1.0");
    command.arg("-q").args(text.split_whitespace()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("gst-launch-1.0")
}

fn idle(film: &Path, span: Duration) {
    let (_server, urls) = serve(film, IDLE_STREAMS);
    let (_other_server, other_urls) = serve(film, IDLE_STREAMS);
    let mut alone = gst_launch(&other_urls);
    // One frame in a quarter of an hour is explained.
    let daemon = watching(&urls, "", "max_fps = 0.001");
    let before = daemon.get("/metrics").body;
    let (start, from, alone_from) = (Instant::now(), reading(daemon.pid()), reading(alone.id()));
    thread::sleep(span);
    let (to, alone_to, passed) = (reading(daemon.pid()), reading(alone.id()), start.elapsed());
    let after = daemon.get("/metrics").body;
    let ended = alone.try_wait().expect("a child");
    alone.kill().expect("it runs");
    alone.wait().expect("a child");
    assert_eq!(ended, None, "gst-launch-1.0 ended before it was measured");
    let held = sum(&after, "frames_total", "outcome=\"held\"") - sum(&before, "frames_total", "outcome=\"held\"");
    let (ours, theirs) = (cores(&from, &to, passed), cores(&alone_from, &alone_to, passed));
    println!(
        "{IDLE_STREAMS} streams of 640x360 at 15 frames a second that nobody explains, and gst-launch-1.0 beside it with the same work:\n"
    );
    println!("| frames | cores | gst-launch-1.0 | ratio |\n|---|---|---|---|");
    println!("| {held} | {ours:.3} | {theirs:.3} | {:.2} |\n", ours / theirs);
}

fn curve(film: &Path, span: Duration) {
    println!("Streams of 320x240 at 5 frames a second, every frame explained:\n");
    println!(
        "| streams | decoded | late | dropped | cores | of each further stream | resident memory | of each further stream | threads |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut last: Option<(usize, f64, f64)> = None;
    for count in [1, 2, 4, 8, 16] {
        let (_server, urls) = serve(film, count);
        let daemon = watching(&urls, "", "");
        let before = daemon.get("/metrics").body;
        let (start, from) = (Instant::now(), reading(daemon.pid()));
        thread::sleep(span);
        let (to, passed) = (reading(daemon.pid()), start.elapsed());
        let after = daemon.get("/metrics").body;
        let grown = |series: &str, label: &str| sum(&after, series, label) - sum(&before, series, label);
        let (cores, memory_mb) = (cores(&from, &to, passed), to.resident_bytes as f64 / 1e6);
        let further = last.map(|(fewer, less_cores, less_mb)| {
            let more = (count - fewer) as f64;
            ((cores - less_cores) / more, (memory_mb - less_mb) / more)
        });
        let (further_cores, further_mb) =
            further.map_or((String::new(), String::new()), |(cores, mb)| (format!("{cores:.3}"), format!("{mb:.1} MB")));
        println!(
            "| {count} | {} | {} | {} | {cores:.3} | {further_cores} | {memory_mb:.0} MB | {further_mb} | {} |",
            grown("frames_decoded_total", ""),
            grown("frames_total", "outcome=\"late\""),
            grown("frames_total", "outcome=\"dropped\""),
            to.threads
        );
        last = Some((count, cores, memory_mb));
    }
}

/// What a stream itself needs, beside the network, which needs more the more frames are in a batch.
fn memory(film: &Path) {
    let resident_mb = |count: usize| {
        let (_server, urls) = serve(film, count);
        let daemon = watching(&urls, "[engine]\nmax_batch = 1\nworkers = 1\n", "max_fps = 0.001");
        reading(daemon.pid()).resident_bytes as f64 / 1e6
    };
    let (one, sixteen) = (resident_mb(1), resident_mb(16));
    println!("\nStreams of 320x240 that nobody explains, batches of one:\n");
    println!("| resident memory with 1 | with 16 | of each further stream |\n|---|---|---|");
    println!("| {one:.0} MB | {sixteen:.0} MB | {:.1} MB |", (sixteen - one) / 15.0);
}
