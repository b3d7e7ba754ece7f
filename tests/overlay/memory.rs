//! Memory does not grow with a video's length.

use crate::command::{bunny, ffmpeg, overlay};

#[test]
fn six_times_as_long_takes_no_more_memory() {
    let folder = tempfile::tempdir().expect("folder");
    let [piece, long] = ["piece.mp4", "long.mp4"].map(|name| folder.path().join(name));
    let text = |path: &std::path::Path| path.to_str().expect("UTF-8").to_owned();
    let scaled = ["-vf", "scale=1920:1080", "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "copy"];
    ffmpeg(&[&["-i", &text(&bunny())], &scaled[..]].concat(), &piece);
    ffmpeg(&["-stream_loop", "5", "-i", &text(&piece), "-c", "copy"], &long);
    let peak_mb = |input: &std::path::Path| {
        let out = folder.path().join("out.mp4");
        let all = overlay(input, &out, &["--force", "--json", "--every", "50", "--preset", "ultrafast"]).json();
        all["peak_rss_bytes"].as_u64().expect("bytes") / 1_000_000
    };
    let (short, long) = (peak_mb(&piece), peak_mb(&long));
    assert!(long < short + 60, "{short} MB for 5 s, {long} MB for 32 s");
}
