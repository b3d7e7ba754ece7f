//! Whether an output is its input's video: as many frames, their times, size and colours, and the audio's bytes.

use std::path::Path;

use crate::probe::{Probe, Stream, decoded_frames, probe};

/// A millisecond, and what a container that counts in milliseconds rounds off.
const CLOSE: f64 = 0.001_05;

/// Compares times, sizes, colours and audio. Gives the probed output for more.
#[track_caller]
pub fn assert_same_video(input: &Path, out: &Path) -> Probe {
    let (from, to) = (probe(input), probe(out));
    assert_same_times(&from.video, &to.video);
    assert_eq!(decoded_frames(out), to.video.packets.len() as u64, "every frame decodes");
    assert_same_look(&from.video, &to.video);
    assert_eq!(from.audio.is_some(), to.audio.is_some(), "audio");
    if let (Some(audio), Some(kept)) = (&from.audio, &to.audio) {
        assert_same_audio(&from.video, audio, &to.video, kept);
    }
    to
}

/// As many frames, each with the input's time relative to the first, and shown until the next.
#[track_caller]
pub fn assert_same_times(from: &Stream, to: &Stream) {
    assert_eq!(to.packets.len(), from.packets.len(), "frames");
    let (wanted, got) = (from.times(), to.times());
    assert_eq!(got.len(), to.packets.len(), "every frame has a time");
    // A raw bitstream has no times.
    if wanted.len() == got.len() {
        for (index, (wanted, got)) in wanted.iter().map(|t| t - from.times()[0]).zip(got.iter().map(|t| t - got[0])).enumerate() {
            assert!((wanted - got).abs() <= CLOSE, "frame {index} is at {got} s, not at {wanted} s");
        }
    }
    // Matroska has no duration a track. That of MP4 sums up times of decoding, which agree where the rate is constant.
    let gaps: Vec<f64> = wanted.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let constant = gaps.iter().all(|gap| (gap - gaps[0]).abs() < 0.002);
    if let (Some(wanted), Some(got)) = (ends(from), ends(to))
        && constant
    {
        assert!((wanted - got).abs() <= CLOSE, "the video lasts {got} s, not {wanted} s");
    }
}

/// The displayed size, one pixel more where H.264 wants it even; the shape of pixels; and every colour tag that the input has.
#[track_caller]
fn assert_same_look(from: &Stream, to: &Stream) {
    let (mut width, mut height) = from.size_px();
    if from.rotation() % 180 != 0 {
        (width, height) = (height, width);
    }
    if ["h264", "hevc"].contains(&to.field("codec_name").as_str()) {
        (width, height) = (width.next_multiple_of(2), height.next_multiple_of(2));
    }
    assert_eq!(to.size_px(), (width, height), "size");
    assert_eq!(to.rotation(), 0, "upright without a tag");
    let aspect = |stream: &Stream| {
        let text = stream.field("sample_aspect_ratio");
        if text == "unknown" || text == "0:1" { "1:1".to_owned() } else { text }
    };
    if from.rotation() == 0 {
        assert_eq!(aspect(to), aspect(from), "pixel aspect");
    }
    for tag in ["color_range", "color_space", "color_transfer", "color_primaries"] {
        // Two names of one matrix.
        let name = |stream: &Stream| stream.field(tag).replace("bt470bg", if tag == "color_space" { "smpte170m" } else { "bt470bg" });
        let wanted = name(from);
        if !["unknown", "gbr"].contains(&wanted.as_str()) {
            assert_eq!(name(to), wanted, "{tag}");
        }
    }
}

/// The same packets at the same times relative to the first video frame.
#[track_caller]
pub fn assert_same_audio(from_video: &Stream, from: &Stream, to_video: &Stream, to: &Stream) {
    assert_eq!(to.field("codec_name"), from.field("codec_name"), "audio codec");
    assert_eq!(to.field("sample_rate"), from.field("sample_rate"), "sample rate");
    assert_eq!(to.field("channels"), from.field("channels"), "channels");
    let hashes = |stream: &Stream| stream.packets.iter().map(|packet| packet.hash.clone()).collect::<Vec<_>>();
    // What an edit list of MP4 leaves out at the start, an encoder's first packet and sometimes the one after it, the demuxer does not give.
    // The same holds for an encoder's padding at the end, also that of Opus on its way into MP4.
    let (all, kept) = (hashes(from), hashes(to));
    let trimmed = from.times()[0] < 0.0;
    let (most_early, most_late) = if trimmed { (2, 1) } else { (0, 0) };
    let left_out = (0..=most_early).find(|&early| all[early..].starts_with(&kept)).expect("the same packets, none missing in between");
    let late = all.len() - left_out - kept.len();
    assert!(late <= most_late, "{late} packets are missing at the end");
    // The last packets are compared: before the first one of Opus lies a delay that ffprobe takes off and the demuxer cannot.
    let offset = |video: &Stream, time: f64| time - video.times().first().unwrap_or(&0.0);
    let (wanted, got) = (offset(from_video, from.times()[left_out + kept.len() - 1]), offset(to_video, to.times()[kept.len() - 1]));
    assert!((wanted - got).abs() <= 2.0 * CLOSE, "the last packet comes {got} s after the first frame, not {wanted} s");
    // What an edit list leaves out of the last packet is not seen by the demuxer; the packet itself is whole.
    if let (Some(wanted), Some(got)) = (ends(from), ends(to)) {
        assert!((wanted - got).abs() <= 0.025, "the audio lasts {got} s, not {wanted} s");
    }
}

/// Seconds that a stream lasts, where the container says it.
fn ends(stream: &Stream) -> Option<f64> {
    stream.field("duration").parse().ok()
}
