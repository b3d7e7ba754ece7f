//! The kinds of files that are written, and what each holds.

use std::path::Path;

use super::audio::{AudioMode, codec_name};
use super::encoder::{Codec, Encoder};
use super::launch::require;
use crate::error::{Error, Result};

/// A kind of file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Container {
    pub name: &'static str,
    /// The first is the usual one.
    pub extensions: &'static [&'static str],
    /// The muxer's element.
    muxer: &'static str,
    /// Its properties.
    properties: &'static str,
    pub default_encoder: &'static str,
    /// Knows how long a track is only from the times at which its frames are decoded.
    pub sums_decoding_times: bool,
    video: &'static [Codec],
    /// Encoder elements for audio that is transcoded, the best first.
    audio_encoders: &'static [&'static str],
}

const CONTAINERS: &[Container] = &[
    Container {
        name: "MP4",
        extensions: &["mp4", "m4v"],
        muxer: "mp4mux",
        // Fragments of a second make a file that plays even when its writer is killed; at the end it becomes a plain MP4.
        properties: "fragment-duration=1000 fragment-mode=first-moov-then-finalise movie-timescale=90000",
        default_encoder: "x264enc",
        sums_decoding_times: true,
        video: &[Codec::H264, Codec::H265, Codec::Vp9, Codec::Av1],
        audio_encoders: &["fdkaacenc", "avenc_aac", "voaacenc"],
    },
    Container {
        name: "Matroska",
        extensions: &["mkv"],
        muxer: "matroskamux",
        properties: "max-cluster-duration=1000000000 min-cluster-duration=500000000",
        default_encoder: "x264enc",
        sums_decoding_times: false,
        video: &[Codec::H264, Codec::H265, Codec::Vp8, Codec::Vp9, Codec::Av1],
        audio_encoders: &["opusenc", "avenc_aac", "vorbisenc"],
    },
    Container {
        name: "WebM",
        extensions: &["webm"],
        muxer: "webmmux",
        properties: "max-cluster-duration=1000000000 min-cluster-duration=500000000",
        default_encoder: "vp9enc",
        sums_decoding_times: false,
        video: &[Codec::Vp8, Codec::Vp9, Codec::Av1],
        audio_encoders: &["opusenc", "vorbisenc"],
    },
];

impl Container {
    /// The kind of file that a path's extension names.
    pub fn of(path: &Path) -> Result<&'static Container> {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("").to_ascii_lowercase();
        CONTAINERS
            .iter()
            .find(|container| container.extensions.contains(&extension.as_str()))
            .ok_or_else(|| Error::usage(format!("{}: the output's name must end in .mp4, .mkv or .webm", path.display())))
    }

    /// Refuses an encoder whose video it cannot hold, and a muxer that is not installed.
    pub fn check(&self, encoder: &Encoder) -> Result<()> {
        if !self.video.contains(&encoder.codec) {
            let other = CONTAINERS.iter().find(|container| container.video.contains(&encoder.codec));
            let hint = other.map_or(String::new(), |other| format!("; .{} can", other.extensions[0]));
            let (codec, element) = (encoder.codec.name(), encoder.element);
            return Err(Error::usage(format!("{} cannot hold {codec}, which {element} makes{hint}", self.name)));
        }
        require(self.muxer)
    }

    /// The muxer with its properties, as a pipeline's text has it.
    pub fn text(&self) -> String {
        format!("{} {}", self.muxer, self.properties)
    }

    /// What stands between the source's audio and the muxer, as a pipeline's text has it.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::error::Kind::Usage) where this kind of file cannot hold the audio as it is, naming one that can.
    pub fn audio_chain(&self, caps: &gst::CapsRef, mode: AudioMode) -> Result<String> {
        if mode == AudioMode::Transcode {
            let element = self.audio_encoders.iter().find(|element| gst::ElementFactory::find(element).is_some());
            let Some(element) = element else { return require(self.audio_encoders[0]).map(|()| String::new()) };
            let parser = match *element {
                "opusenc" => "opusparse !",
                "vorbisenc" => "",
                _ => "aacparse !",
            };
            return Ok(format!("audioconvert ! audioresample ! {element} ! {parser}"));
        }
        if !self.holds_audio(caps)? {
            let can = CONTAINERS.iter().find(|other| other.holds_audio(caps).unwrap_or(false));
            let can = can.map_or(String::new(), |other| format!(", .{} can", other.extensions[0]));
            let codec = codec_name(caps);
            return Err(Error::usage(format!("{} cannot hold the audio as it is ({codec}){can}; or use --audio transcode", self.name)));
        }
        let name = caps.structure(0).map(|structure| structure.name().as_str()).unwrap_or_default();
        let version = caps.structure(0).and_then(|structure| structure.get::<i32>("mpegversion").ok());
        let parser = match (name, version) {
            ("audio/mpeg", Some(2 | 4)) => "aacparse",
            ("audio/mpeg", _) => "mpegaudioparse",
            ("audio/x-ac3" | "audio/x-eac3", _) => "ac3parse",
            ("audio/x-flac", _) => "flacparse",
            ("audio/x-opus", _) => "opusparse",
            _ => return Ok(String::new()),
        };
        require(parser)?;
        Ok(format!("{parser} !"))
    }

    /// Whether the muxer takes this codec. Parsers bring a stream's format and framing to what it wants, so these do not count.
    fn holds_audio(&self, caps: &gst::CapsRef) -> Result<bool> {
        require(self.muxer)?;
        let factory = gst::ElementFactory::find(self.muxer).expect("required above");
        let mut loose = caps.to_owned();
        if let Some(structure) = loose.make_mut().structure_mut(0) {
            for field in ["stream-format", "framed", "parsed", "alignment", "codec_data"] {
                structure.remove_field(field);
            }
        }
        let holds = factory.static_pad_templates().iter().any(|template| {
            template.direction() == gst::PadDirection::Sink
                && template.name_template().starts_with("audio")
                && template.caps().can_intersect(&loose)
        });
        Ok(holds)
    }
}
