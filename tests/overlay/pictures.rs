//! What stands in the decoded pictures.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::command::{bunny, ffmpeg, overlay};
use crate::probe::probe;

/// How alike two videos are after a filter each (`null` for none), in decibels; 100 where they are equal.
pub fn psnr_db(one: &Path, one_filter: &str, other: &Path, other_filter: &str) -> f64 {
    let again = "setpts=N/25/TB";
    let graph = format!("[0:v]{one_filter},{again}[a];[1:v]{other_filter},{again}[b];[a][b]psnr=shortest=1");
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "info", "-i"])
        .arg(one)
        .arg("-i")
        .arg(other)
        .args(["-lavfi", &graph, "-f", "null", "-"])
        .output()
        .expect("ffmpeg is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    let average = said.rsplit("average:").next().and_then(|rest| rest.split_whitespace().next()).unwrap_or_default();
    if average == "inf" { 100.0 } else { average.parse().unwrap_or_else(|_| panic!("{said}")) }
}

/// Ten frames of the project's clip, made with these arguments for ffmpeg.
fn ten_frames(input: &Path, arguments: &[&str]) {
    let coded = ["-frames:v", "10", "-an", "-c:v", "libx264", "-preset", "ultrafast", "-crf", "10"];
    ffmpeg(&[&["-ss", "2", "-i", bunny().to_str().expect("UTF-8")], &coded[..], arguments].concat(), input);
}

/// Overlays with quality so high that the encoder changes little.
#[track_caller]
fn overlaid(input: &Path, out: &Path, arguments: &[&str]) {
    let fine = ["--force", "--json", "--every", "5", "--crf", "8", "--preset", "superfast"];
    overlay(input, out, &[&fine, arguments].concat()).json();
}

#[test]
fn without_opacity_the_output_is_the_input() {
    let folder = tempfile::tempdir().expect("folder");
    let (input, out) = (folder.path().join("in.mp4"), folder.path().join("out.mp4"));
    for (name, arguments, upright) in [
        ("eight bits", &[][..], "null"),
        ("ten bits", &["-pix_fmt", "yuv420p10le"], "null"),
        ("full range", &["-vf", "scale=out_range=pc", "-pix_fmt", "yuvj420p", "-color_range", "pc"], "null"),
        ("4:4:4", &["-pix_fmt", "yuv444p"], "format=yuv420p"),
    ] {
        ten_frames(&input, arguments);
        overlaid(&input, &out, &["--opacity", "0"]);
        let same = psnr_db(&input, upright, &out, "null");
        assert!(same > 40.0, "{name}: {same} dB");
    }
    let turned = folder.path().join("turned.mp4");
    ten_frames(&input, &[]);
    ffmpeg(&["-i", input.to_str().expect("UTF-8"), "-c", "copy", "-metadata:s:v", "rotate=90"], &turned);
    overlaid(&turned, &out, &["--opacity", "0"]);
    let same = psnr_db(&turned, "null", &out, "null");
    assert!(same > 40.0, "turned: {same} dB");
}

#[test]
fn odd_sizes_lose_no_row_and_no_column() {
    let folder = tempfile::tempdir().expect("folder");
    let (input, out) = (folder.path().join("in.mkv"), folder.path().join("out.mp4"));
    let picture = ["-ss", "2", "-i", bunny().to_str().expect("UTF-8"), "-vf", "scale=321:181", "-frames:v", "5", "-an"].map(str::to_owned);
    let all: Vec<&str> = picture.iter().map(String::as_str).chain(["-c:v", "ffv1", "-pix_fmt", "yuv420p"]).collect();
    ffmpeg(&all, &input);
    overlaid(&input, &out, &["--opacity", "0"]);
    // Cut at any place inside the padded pixel: exact cropping of an odd size is done in 4:4:4.
    let same = psnr_db(&input, "format=yuv444p", &out, "format=yuv444p,crop=321:181:0:0:exact=1");
    assert!(same > 38.0, "{same} dB");
}

#[test]
fn the_overlay_is_there_and_stays_in_its_range() {
    let folder = tempfile::tempdir().expect("folder");
    let (input, out) = (folder.path().join("in.mp4"), folder.path().join("out.mp4"));
    ten_frames(&input, &[]);
    overlaid(&input, &out, &["--layout", "map"]);
    let map = psnr_db(&input, "null", &out, "null");
    overlaid(&input, &out, &[]);
    let blend = psnr_db(&input, "null", &out, "null");
    overlaid(&input, &out, &["--opacity", "0.2"]);
    let faint = psnr_db(&input, "null", &out, "null");
    assert!(map < blend && blend < faint && map < 15.0 && blend < 30.0, "{map} dB, {blend} dB, {faint} dB");
    overlaid(&input, &out, &["--floor", "1"]);
    let floored = psnr_db(&input, "null", &out, "null");
    assert!(floored > 40.0, "nothing is above the floor: {floored} dB");
}

#[test]
fn beyond_the_view_of_a_crop_the_picture_is_untouched() {
    let folder = tempfile::tempdir().expect("folder");
    let (input, out) = (folder.path().join("in.mp4"), folder.path().join("out.mp4"));
    ten_frames(&input, &[]);
    overlaid(&input, &out, &["--fit", "crop", "--floor", "0"]);
    // The network sees the middle 720 of 1280 columns. Sixteen at each side of the edge are left out: the encoder's blocks reach over it.
    for (name, part, touched) in
        [("left", "crop=264:720:0:0", false), ("right", "crop=264:720:1016:0", false), ("middle", "crop=688:720:296:0", true)]
    {
        let same = psnr_db(&input, part, &out, part);
        assert!(if touched { same < 30.0 } else { same > 40.0 }, "{name}: {same} dB");
    }
}

#[test]
fn side_by_side_is_twice_as_wide_and_keeps_the_picture_at_the_left() {
    let folder = tempfile::tempdir().expect("folder");
    let (input, out) = (folder.path().join("in.mp4"), folder.path().join("out.mp4"));
    ten_frames(&input, &[]);
    overlaid(&input, &out, &["--layout", "side"]);
    let to = probe(&out).video;
    assert_eq!((to.size_px(), to.field("sample_aspect_ratio").as_str()), ((2560, 720), "1:1"));
    let left = psnr_db(&input, "null", &out, "crop=1264:720:0:0,pad=1280:720");
    let strict = psnr_db(&input, "crop=1264:720:0:0", &out, "crop=1264:720:0:0");
    let right = psnr_db(&input, "null", &out, "crop=1280:720:1280:0");
    assert!(strict > 40.0 && right < 30.0, "left {left} dB, right {right} dB");
}

#[test]
fn the_caption_is_a_strip_at_the_bottom() {
    let folder = tempfile::tempdir().expect("folder");
    let (input, out) = (folder.path().join("in.mp4"), folder.path().join("out.mp4"));
    ten_frames(&input, &[]);
    overlaid(&input, &out, &["--opacity", "0", "--caption"]);
    let (above, strip) = ("crop=1280:576:0:0", "crop=1280:32:0:688");
    let (above, strip) = (psnr_db(&input, above, &out, above), psnr_db(&input, strip, &out, strip));
    assert!(above > 40.0 && strip < 25.0, "above {above} dB, strip {strip} dB");
}

#[test]
fn colours_of_the_map_are_those_of_the_colour_map() {
    let folder = tempfile::tempdir().expect("folder");
    let (input, out, raw) = (folder.path().join("in.mp4"), folder.path().join("out.mp4"), folder.path().join("out.rgb"));
    // The conversion of each matrix and range there and back: grey has no chroma anywhere, viridis never red above green at the top.
    for arguments in [&[][..], &["-vf", "scale=out_range=pc", "-pix_fmt", "yuvj420p", "-color_range", "pc"], &["-pix_fmt", "yuv420p10le"]] {
        ten_frames(&input, arguments);
        for (name, extremes) in [("grey", [[0, 0, 0], [255, 255, 255]]), ("viridis", [[68, 1, 84], [253, 231, 37]])] {
            overlaid(&input, &out, &["--layout", "map", "--colour-map", name, "--smooth", "0"]);
            ffmpeg(&["-i", out.to_str().expect("UTF-8"), "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24"], &raw);
            let bytes = fs::read(&raw).expect("pixels");
            for wanted in extremes {
                let distance =
                    |pixel: &[u8]| pixel.iter().zip(wanted).map(|(&a, b): (&u8, i32)| (i32::from(a) - b).abs()).max().expect("three");
                let nearest = bytes.chunks_exact(3).map(distance).min().expect("pixels");
                assert!(nearest <= 6, "{name}, {arguments:?}: {wanted:?} is missed by {nearest}");
            }
        }
    }
}
