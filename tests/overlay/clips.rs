//! Every clip of the folder beside the project: a right video, or the error that it calls for.

use serde_json::Value;

use crate::command::{media, names, overlay, summary};
use crate::compare::assert_same_video;
use crate::probe::{Probe, decoded_frames};

/// Overlays a clip into a file with this extension and compares. Gives the summary and the probed output.
#[track_caller]
fn right_video(name: &str, extension: &str) -> Option<(Value, Probe)> {
    let input = media(name)?;
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("out").with_extension(extension);
    let summary = summary(&input, &out, &[]);
    let to = assert_same_video(&input, &out);
    let frames = to.video.packets.len() as u64;
    assert_eq!((&summary["frames_in"], &summary["frames_out"]), (&frames.into(), &frames.into()));
    assert_eq!(summary["frames_explained"], frames.div_ceil(60));
    assert_eq!(names(folder.path()).len(), 1, "nothing else is left");
    Some((summary, to))
}

/// The same for an unbroken clip.
#[track_caller]
fn whole_video(name: &str, extension: &str) -> Option<Probe> {
    let (summary, to) = right_video(name, extension)?;
    assert_eq!(summary["frames_lost"], 0, "{name}");
    Some(to)
}

#[test]
fn streets_and_photographs() {
    for name in ["bikes.mp4", "demo_clip.mp4"] {
        whole_video(name, "mp4");
    }
}

#[test]
fn audio_behind_the_video_and_before_it_in_the_file() {
    for name in ["bigbuckbunny.mp4", "solidWhiteRight.mp4"] {
        if let Some(to) = whole_video(name, "mp4") {
            assert_eq!(to.audio.expect("audio").field("codec_name"), "aac");
        }
    }
}

#[test]
fn rotated_by_a_quarter() {
    if let Some(to) = whole_video("nasa_13013_rotated.mp4", "mp4") {
        assert_eq!(to.video.size_px(), (270, 480));
    }
}

#[test]
fn upside_down_in_full_range_with_varying_frame_rate() {
    if let Some(to) = whole_video("pixel7_videoOnly_cleaned.mp4", "mp4") {
        assert_eq!(to.video.field("color_range"), "pc");
    }
}

#[test]
fn varying_frame_rate_with_audio() {
    if let Some(to) = whole_video("trim_optimization_failure.mp4", "mp4") {
        assert_eq!(to.video.field("duration"), "5.588733");
    }
    whole_video("trim_optimization_failure.mp4", "mkv");
}

#[test]
fn odd_size() {
    if let Some(to) = whole_video("bear-vp9-odd-dimensions.webm", "mp4") {
        assert_eq!(to.video.size_px(), (162, 122));
    }
    if let Some(to) = whole_video("bear-vp9-odd-dimensions.webm", "webm") {
        assert_eq!(to.video.size_px(), (161, 121));
    }
}

#[test]
fn hevc_with_b_frames_alone_and_in_a_transport_stream() {
    whole_video("h265_bframes.mp4", "mp4");
    whole_video("sample_h265.ts", "mkv");
}

#[test]
fn av1_in_ten_bits_and_bt2020() {
    if let Some(to) = whole_video("sample_av1.mkv", "mp4") {
        assert_eq!(to.video.field("pix_fmt"), "yuv420p10le");
        assert_eq!(to.video.field("color_transfer"), "arib-std-b67");
    }
}

#[test]
fn opus_without_a_known_duration() {
    for extension in ["webm", "mkv"] {
        whole_video("no_duration.webm", extension);
    }
}

#[test]
fn another_size_in_mid_stream() {
    if let Some(to) = whole_video("resolution_change.264", "mp4") {
        assert_eq!(to.video.size_px(), (352, 288));
        assert_eq!(to.video.times().len(), 6);
    }
}

#[test]
fn a_broken_nal_unit_is_counted_and_strict_refuses_it() {
    let Some((summary, to)) = right_video("sample_with_invalid_nalu.mp4", "mp4") else { return };
    assert_eq!(to.video.packets.len(), 30);
    assert_eq!(summary["frames_lost"], 1);
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("out.mp4");
    let ran = overlay(&media("sample_with_invalid_nalu.mp4").expect("it was there"), &out, &["--strict", "--every", "60", "--json"]);
    assert_eq!(ran.code, 65, "{}", ran.stderr);
    assert!(ran.stderr.contains("lost: 1 frame,") && ran.stderr.contains("--strict"), "{}", ran.stderr);
    assert_eq!(decoded_frames(&out), 30, "what there is stands in the file that the sentence names");
}

#[test]
fn nothing_decodable_is_65_and_leaves_nothing() {
    for name in ["sample_malformed_free_box.mp4", "invalid-bitstream.webm"] {
        let Some(input) = media(name) else { continue };
        let folder = tempfile::tempdir().expect("folder");
        overlay(&input, &folder.path().join("out.mp4"), &["--json"]).refuses(65, &[name, "nothing in it can be decoded"]);
        assert_eq!(names(folder.path()), [""; 0]);
    }
}
