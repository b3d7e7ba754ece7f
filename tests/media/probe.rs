//! What ffprobe says of a file.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The first video stream, and how many audio packets there are.
#[derive(Debug, Clone)]
pub struct Probed {
    pub codec: String,
    pub width_px: u64,
    pub height_px: u64,
    pub pixel_format: String,
    pub colour_matrix: String,
    pub colour_range: String,
    pub sample_aspect: String,
    /// Of the decoded frames, relative to the first, in the order of display.
    pub pts_ms: Vec<f64>,
    /// From the first frame to the end of the last, as the packets have it.
    pub duration_ms: f64,
    pub first_frame_ms: f64,
    pub audio_codec: Option<String>,
    pub audio_packets: usize,
    pub first_audio_ms: f64,
}

pub fn installed() -> bool {
    let there = Command::new("ffprobe").arg("-version").output().is_ok();
    if !there {
        println!("skipped: ffprobe is not installed");
    }
    there
}

fn ffprobe(path: &Path, arguments: &[&str]) -> Value {
    let output = Command::new("ffprobe").args(["-v", "error", "-of", "json"]).args(arguments).arg(path).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or("").to_owned()
}

fn millis(value: &Value, name: &str) -> Option<f64> {
    value[name].as_str()?.parse::<f64>().ok().map(|seconds| seconds * 1e3)
}

/// Reads a whole file, decoding its video.
pub fn probe(path: &Path) -> Probed {
    let video = ffprobe(path, &["-select_streams", "v:0", "-show_streams", "-show_frames", "-show_packets"]);
    let stream = &video["streams"][0];
    let empty = Vec::new();
    let entries = video["packets_and_frames"].as_array().unwrap_or(&empty);
    let of_type = |name: &'static str| entries.iter().filter(move |entry| entry["type"] == name);
    let times: Vec<f64> = of_type("frame")
        .filter_map(|frame| millis(frame, "best_effort_timestamp_time").or_else(|| millis(frame, "pkt_dts_time")))
        .collect();
    let first = times.first().copied().unwrap_or(0.0);
    let end = of_type("packet")
        .filter_map(|packet| Some(millis(packet, "pts_time")? + millis(packet, "duration_time").unwrap_or(0.0)))
        .fold(first, f64::max);
    // MP4 keeps the last duration where ffprobe shows it for the whole track only.
    let untold = of_type("packet").all(|packet| packet["duration_time"].is_null());
    let end = if untold { end.max(first + millis(stream, "duration").unwrap_or(0.0)) } else { end };
    let audio = ffprobe(path, &["-select_streams", "a:0", "-show_streams", "-show_packets"]);
    let packets = audio["packets"].as_array().unwrap_or(&empty);
    Probed {
        codec: text(stream, "codec_name"),
        width_px: stream["width"].as_u64().unwrap_or(0),
        height_px: stream["height"].as_u64().unwrap_or(0),
        pixel_format: text(stream, "pix_fmt"),
        colour_matrix: text(stream, "color_space"),
        colour_range: text(stream, "color_range"),
        sample_aspect: text(stream, "sample_aspect_ratio"),
        pts_ms: times.iter().map(|time| time - first).collect(),
        duration_ms: end - first,
        first_frame_ms: first,
        audio_codec: audio["streams"][0]["codec_name"].as_str().map(str::to_owned),
        audio_packets: packets.len(),
        first_audio_ms: packets.first().and_then(|packet| millis(packet, "pts_time")).unwrap_or(0.0),
    }
}

/// The PSNR of the worst frame between two videos, as ffmpeg decodes and turns them, over the upper left part of this size. Frames are
/// compared one by one, without regard to their times.
pub fn likeness_db(one: &Path, other: &Path, (width_px, height_px): (u64, u64)) -> f64 {
    let chain = |index| format!("[{index}:v]settb=1/25,setpts=N,crop={width_px}:{height_px}:0:0,format=yuv420p[v{index}]");
    let graph = format!("{};{};[v0][v1]psnr=stats_file=-", chain(0), chain(1));
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-i"]).arg(one).arg("-i").arg(other);
    let output = command.args(["-filter_complex", &graph, "-fps_mode", "passthrough", "-f", "null", "-"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let values = text.lines().filter_map(|line| line.split("psnr_avg:").nth(1)?.split_whitespace().next()?.parse::<f64>().ok());
    let worst = values.fold(f64::INFINITY, f64::min);
    assert!(text.contains("psnr_avg"), "{}: {}", other.display(), String::from_utf8_lossy(&output.stderr));
    worst
}
