//! How the output video is encoded.

use clap::ValueEnum;

/// Options for the output's video and audio.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Encoding")]
pub struct EncoderOptions {
    /// GStreamer element that encodes the video [default: x264enc; for .webm vp9enc].
    ///
    /// One of x264enc, x265enc, vp8enc, vp9enc, av1enc, openh264enc, and on machines that have them nvh264enc, vah264enc, v4l2h264enc.
    #[arg(long, value_name = "ELEMENT")]
    pub encoder: Option<String>,

    /// Constant quality: the encoder's quantiser, less is better; 0 to 50 for x264enc, to 51 or 63 for others [default: 23 for x264enc, 31 for vp9enc, 26 for x265enc, 15 for vp8enc, 32 for av1enc].
    #[arg(long, value_name = "Q", value_parser = clap::value_parser!(u32).range(0..=63), conflicts_with = "bitrate")]
    pub crf: Option<u32>,

    /// Speed against size: ultrafast to placebo for x264enc and x265enc; a number for VP8, VP9 and AV1, higher is faster [default: veryfast; 6 for vp8enc and vp9enc, 8 for av1enc].
    #[arg(long, value_name = "PRESET")]
    pub preset: Option<String>,

    /// Bit rate in kbit/s instead of constant quality [default: none].
    #[arg(long, value_name = "KBITS", value_parser = clap::value_parser!(u32).range(1..=2_000_000))]
    pub bitrate: Option<u32>,

    /// What becomes of the audio.
    #[arg(long, value_enum, default_value_t = Audio::Copy)]
    pub audio: Audio,
}

/// What becomes of the input's audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Audio {
    /// Pass it through untouched; what the container cannot hold is refused.
    Copy,
    /// Decode it and encode it as what the container usually holds.
    Transcode,
    /// Leave it out.
    Drop,
}
