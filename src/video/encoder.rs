//! The encoders that are known by name, and how quality, speed and key frames are said to each.

use std::fmt::Write;

use super::caps::{pixel_format, video_format};
use super::launch::require;
use super::sink::SinkSettings;
use crate::error::{Error, Result};
use crate::frame::PixelFormat;

/// What comes out of an encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    H264,
    H265,
    Vp8,
    Vp9,
    Av1,
}

impl Codec {
    /// Its usual name.
    pub fn name(self) -> &'static str {
        match self {
            Codec::H264 => "H.264",
            Codec::H265 => "H.265",
            Codec::Vp8 => "VP8",
            Codec::Vp9 => "VP9",
            Codec::Av1 => "AV1",
        }
    }

    /// The element between encoder and muxer.
    pub fn parser(self) -> &'static str {
        match self {
            Codec::H264 => "h264parse",
            Codec::H265 => "h265parse",
            Codec::Vp8 => "identity silent=true",
            Codec::Vp9 => "vp9parse",
            Codec::Av1 => "av1parse",
        }
    }

    /// Codes 4:2:0 at even sizes only.
    pub fn wants_even_size(self) -> bool {
        matches!(self, Codec::H264 | Codec::H265)
    }
}

/// An encoder of GStreamer's.
#[derive(Debug)]
pub(super) struct Encoder {
    /// Its element.
    pub element: &'static str,
    pub codec: Codec,
    /// Does not work without a frame rate, which a video of variable rate does not have: a usual one is named, and times stay as they are.
    pub needs_rate: bool,
    /// The highest value that --crf may have here; lower is better.
    max_crf: u32,
    default_crf: u32,
    presets: Presets,
    properties: fn(&Quality) -> String,
}

/// What --preset may be.
#[derive(Debug)]
enum Presets {
    Names(&'static [&'static str], &'static str),
    /// 0 (slowest) to this, and the default.
    Numbers(u32, u32),
    None,
}

/// The rate control that was asked for, checked.
struct Quality {
    crf: u32,
    bitrate_kbps: Option<u32>,
    preset: String,
    key_interval_frames: u32,
    threads: usize,
}

/// The order of x264's and x265's presets is from fast to slow.
const X26X: Presets = Presets::Names(
    &["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo"],
    "veryfast",
);

/// libvpx's clock. Left to itself it ticks once a frame of the claimed rate, and frames that share a tick are dropped.
const VPX_TICKS: &str = "timebase=1/90000";

const ENCODERS: &[Encoder] = &[
    Encoder {
        element: "x264enc",
        codec: Codec::H264,
        needs_rate: false,
        max_crf: 50,
        default_crf: 23,
        presets: X26X,
        properties: |q| match q.bitrate_kbps {
            Some(kbps) => format!("speed-preset={} pass=cbr bitrate={kbps} key-int-max={}", q.preset, q.key_interval_frames),
            // Without the buffer of 0: `bitrate`, 2048 if not set, would cap the rate of constant quality too.
            None => {
                let Quality { preset, crf, key_interval_frames, .. } = q;
                format!("speed-preset={preset} pass=qual quantizer={crf} vbv-buf-capacity=0 key-int-max={key_interval_frames}")
            }
        },
    },
    Encoder {
        element: "x265enc",
        codec: Codec::H265,
        needs_rate: true,
        max_crf: 51,
        default_crf: 26,
        presets: X26X,
        properties: |q| match q.bitrate_kbps {
            Some(kbps) => format!("speed-preset={} bitrate={kbps} key-int-max={}", q.preset, q.key_interval_frames),
            None => format!("speed-preset={} option-string=crf={} key-int-max={}", q.preset, q.crf, q.key_interval_frames),
        },
    },
    Encoder {
        element: "vp9enc",
        codec: Codec::Vp9,
        needs_rate: false,
        max_crf: 63,
        default_crf: 31,
        presets: Presets::Numbers(8, 6),
        properties: |q| {
            let rate = match q.bitrate_kbps {
                Some(kbps) => format!("end-usage=vbr target-bitrate={}", u64::from(kbps) * 1000),
                // Its modes of constant quality drop frames in real time; a fixed quantizer does not.
                None => format!("end-usage=vbr min-quantizer={0} max-quantizer={0} target-bitrate=1000000000", q.crf),
            };
            let Quality { preset, key_interval_frames, threads, .. } = q;
            format!(
                "{rate} deadline=1 cpu-used={preset} row-mt=true threads={threads} tile-columns=2 keyframe-max-dist={key_interval_frames} {VPX_TICKS}"
            )
        },
    },
    Encoder {
        element: "vp8enc",
        codec: Codec::Vp8,
        needs_rate: false,
        max_crf: 63,
        default_crf: 15,
        presets: Presets::Numbers(16, 6),
        properties: |q| {
            let rate = match q.bitrate_kbps {
                Some(kbps) => format!("end-usage=vbr target-bitrate={}", u64::from(kbps) * 1000),
                // Constrained quality: the level holds as long as the rate stays below a limit, which is set out of reach.
                None => format!("end-usage=cq cq-level={} target-bitrate=1000000000", q.crf),
            };
            let Quality { preset, key_interval_frames, threads, .. } = q;
            format!("{rate} deadline=1 cpu-used={preset} threads={threads} keyframe-max-dist={key_interval_frames} {VPX_TICKS}")
        },
    },
    Encoder {
        element: "av1enc",
        codec: Codec::Av1,
        needs_rate: true,
        max_crf: 63,
        default_crf: 32,
        presets: Presets::Numbers(10, 8),
        properties: |q| {
            let rate = match q.bitrate_kbps {
                Some(kbps) => format!("end-usage=vbr target-bitrate={kbps}"),
                None => format!("end-usage=q min-quantizer={0} max-quantizer={0}", q.crf),
            };
            let Quality { preset, key_interval_frames, threads, .. } = q;
            format!("{rate} usage-profile=realtime cpu-used={preset} row-mt=true threads={threads} keyframe-max-dist={key_interval_frames}")
        },
    },
    Encoder {
        element: "openh264enc",
        codec: Codec::H264,
        needs_rate: false,
        max_crf: 51,
        default_crf: 24,
        presets: Presets::Names(&["low", "medium", "high"], "low"),
        properties: |q| {
            let rate = match q.bitrate_kbps {
                Some(kbps) => format!("rate-control=bitrate bitrate={}", u64::from(kbps) * 1000),
                None => format!("rate-control=off qp-min={0} qp-max={0}", q.crf),
            };
            format!("{rate} complexity={} gop-size={}", q.preset, q.key_interval_frames)
        },
    },
    Encoder {
        element: "nvh264enc",
        codec: Codec::H264,
        needs_rate: true,
        max_crf: 51,
        default_crf: 23,
        presets: Presets::Names(&["default", "hp", "hq", "low-latency", "low-latency-hq", "low-latency-hp"], "default"),
        properties: |q| match q.bitrate_kbps {
            Some(kbps) => format!("preset={} rc-mode=vbr bitrate={kbps} gop-size={}", q.preset, q.key_interval_frames),
            None => format!("preset={} rc-mode=constqp qp-const={} gop-size={}", q.preset, q.crf, q.key_interval_frames),
        },
    },
    Encoder {
        element: "vah264enc",
        codec: Codec::H264,
        needs_rate: true,
        max_crf: 51,
        default_crf: 23,
        presets: Presets::Numbers(7, 4),
        properties: |q| {
            let rate = match q.bitrate_kbps {
                Some(kbps) => format!("rate-control=vbr bitrate={kbps}"),
                None => format!("rate-control=cqp qpi={0} qpp={0} qpb={0}", q.crf),
            };
            format!("{rate} target-usage={} key-int-max={}", q.preset.parse::<u32>().unwrap_or(4).max(1), q.key_interval_frames)
        },
    },
    Encoder {
        element: "v4l2h264enc",
        codec: Codec::H264,
        needs_rate: true,
        max_crf: 51,
        default_crf: 23,
        presets: Presets::None,
        properties: |q| {
            let mut controls = format!("controls,h264_i_frame_period={}", q.key_interval_frames);
            let rate = match q.bitrate_kbps {
                Some(kbps) => write!(controls, ",video_bitrate={}", u64::from(kbps) * 1000),
                None => write!(controls, ",h264_i_frame_qp_value={0},h264_p_frame_qp_value={0}", q.crf),
            };
            rate.expect("writing to a string");
            format!("extra-controls=\"{controls}\"")
        },
    },
];

/// Names for messages.
fn names() -> String {
    ENCODERS.iter().map(|encoder| encoder.element).collect::<Vec<_>>().join(", ")
}

impl Encoder {
    /// The encoder of this element.
    pub fn find(element: &str) -> Result<&'static Encoder> {
        ENCODERS
            .iter()
            .find(|encoder| encoder.element == element)
            .ok_or_else(|| Error::usage(format!("--encoder {element} is not known: it is one of {}", names())))
    }

    /// Refuses what is not installed, and quality settings that this encoder does not have.
    pub fn check(&self, settings: &SinkSettings) -> Result<()> {
        require(self.element)?;
        self.quality(settings, 1).map(|_| ())
    }

    /// The layouts that it takes, of those that frames come in.
    pub fn formats(&self) -> Result<Vec<PixelFormat>> {
        require(self.element)?;
        let factory = gst::ElementFactory::find(self.element).expect("required above");
        let takes = |format: &PixelFormat| {
            let caps = gst::Caps::builder("video/x-raw").field("format", video_format(*format).to_str()).build();
            factory.can_sink_any_caps(&caps)
        };
        let formats: Vec<PixelFormat> = [PixelFormat::I420, PixelFormat::Nv12, PixelFormat::I420Ten].into_iter().filter(takes).collect();
        debug_assert!(formats.iter().all(|&format| pixel_format(video_format(format)) == Some(format)));
        Ok(formats)
    }

    /// The element with its properties, as a pipeline's text has it. A key frame comes at least once a second or so: a file that was cut
    /// off plays up to its last fragment, and fragments begin at key frames.
    pub fn text(&self, settings: &SinkSettings, frame_rate: Option<(u32, u32)>) -> Result<String> {
        let rate = frame_rate.map_or(30.0, |(n, d)| f64::from(n) / f64::from(d.max(1)));
        let quality = self.quality(settings, rate.round().clamp(1.0, 300.0) as u32)?;
        Ok(format!("{} {}", self.element, (self.properties)(&quality)))
    }

    fn quality(&self, settings: &SinkSettings, key_interval_frames: u32) -> Result<Quality> {
        let name = self.element;
        if settings.crf.is_some() && settings.bitrate_kbps.is_some() {
            return Err(Error::usage("--crf and --bitrate exclude each other: constant quality or a given rate"));
        }
        let crf = settings.crf.unwrap_or(self.default_crf);
        if crf > self.max_crf {
            return Err(Error::usage(format!("--crf {crf}: {name} takes 0 (best) to {}", self.max_crf)));
        }
        if settings.bitrate_kbps.is_some_and(|kbps| !(1..=2_000_000).contains(&kbps)) {
            return Err(Error::usage("--bitrate is in kilobits a second, 1 to 2000000"));
        }
        let preset = match (&self.presets, settings.preset.as_deref()) {
            (Presets::Names(_, default), None) => (*default).to_owned(),
            (Presets::Numbers(_, default), None) => default.to_string(),
            (Presets::None, None) => String::new(),
            (Presets::Names(known, _), Some(asked)) if known.contains(&asked) => asked.to_owned(),
            (Presets::Numbers(max, _), Some(asked)) if asked.parse::<u32>().is_ok_and(|number| number <= *max) => asked.to_owned(),
            (Presets::Names(known, _), Some(asked)) => {
                return Err(Error::usage(format!("--preset {asked}: {name} takes one of {}", known.join(", "))));
            }
            (Presets::Numbers(max, _), Some(asked)) => return Err(Error::usage(format!("--preset {asked}: {name} takes 0 to {max}"))),
            (Presets::None, Some(_)) => return Err(Error::usage(format!("--preset: {name} has none"))),
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(16);
        Ok(Quality { crf, bitrate_kbps: settings.bitrate_kbps, preset, key_interval_frames, threads })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::video::launch::branch;

    #[test]
    fn every_installed_encoder_takes_its_properties() {
        crate::video::init().unwrap();
        let mut tried = 0;
        for encoder in ENCODERS {
            if require(encoder.element).is_err() {
                eprintln!("skipped: {} is not installed", encoder.element);
                continue;
            }
            for (crf, bitrate_kbps) in [(Some(20), None), (None, Some(1500)), (None, None)] {
                let settings = SinkSettings { crf, bitrate_kbps, ..SinkSettings::default() };
                let text = encoder.text(&settings, Some((30_000, 1001))).unwrap();
                branch(&text, &[]).unwrap_or_else(|error| panic!("{text}: {error}"));
                tried += 1;
            }
            assert!(!encoder.formats().unwrap().is_empty());
        }
        assert!(tried >= 3, "x264enc at least is installed");
    }
}
