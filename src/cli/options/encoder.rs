//! How the output video is encoded.

use clap::ValueEnum;

/// Options for the output's video and audio.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Encoding")]
pub struct EncoderOptions {
    /// GStreamer element that encodes the video [default: x264enc; for .webm vp9enc].
    #[arg(long, value_name = "ELEMENT")]
    pub encoder: Option<String>,

    /// Constant quality: the encoder's quantiser, less is better; 0 to 51 for H.264, 0 to 63 for VP8 and VP9 [default: the encoder's own, 23 for x264enc].
    #[arg(long, value_name = "Q", value_parser = clap::value_parser!(u8).range(0..=63), conflicts_with = "bitrate")]
    pub crf: Option<u8>,

    /// Speed against size, by the encoder's own names, as ultrafast or slow for x264enc [default: the encoder's own].
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,

    /// Constant bit rate in kbit/s instead of constant quality [default: none].
    #[arg(long, value_name = "KBITS", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
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
