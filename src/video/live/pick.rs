//! Which H.264 encoder a live output uses: the first that is seen to work on this machine.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::encoding::{Encoding, Plan};
use super::packets::Packet;
use super::settings::Picked;
use super::shape::Shape;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::frame::{FrameMut, PixelFormat};
use crate::telemetry::{Counter, Histogram};
use crate::video::caps::encoder_caps;
use crate::video::encoder::Encoder;
use crate::video::launch::require;

/// How long an encoder may take to show that it works. Drivers are loaded meanwhile.
const PROOF: Duration = Duration::from_secs(15);
/// Frames of the proof.
const FRAMES: usize = 8;
/// Of which this one has to become a key frame.
const KEY: usize = 5;
/// Where no frame rate is known one is claimed. x264 holds a frame back otherwise, to see when the next one comes; times stay as they are.
pub(super) const CLAIMS_A_RATE: bool = true;
/// Size of the proof's picture; encoders in hardware refuse very small ones.
const SIZE_PX: (usize, usize) = (320, 240);
/// Above this many pixels a frame is cut into slices that are coded at once.
const LARGE_PX: usize = 1280 * 720;

/// How an encoder is told to be quick and to make key frames only when it is asked: they come by time, not by frames.
pub(super) struct LiveEncoder {
    /// Its element.
    pub element: &'static str,
    /// From kilobits a second and pixels.
    properties: fn(u32, usize) -> String,
}

/// In the order in which they are tried: hardware first.
const LIVE: [LiveEncoder; 5] = [
    LiveEncoder {
        element: "nvh264enc",
        properties: |kbps, _| format!("preset=low-latency-hq zerolatency=true rc-mode=cbr bitrate={kbps} gop-size=-1"),
    },
    // 1024 is the most that it takes.
    LiveEncoder {
        element: "vah264enc",
        properties: |kbps, _| format!("rate-control=cbr bitrate={kbps} target-usage=6 b-frames=0 key-int-max=1024"),
    },
    LiveEncoder {
        element: "v4l2h264enc",
        properties: |kbps, _| format!("extra-controls=\"controls,video_bitrate={},h264_i_frame_period=1000\"", u64::from(kbps) * 1000),
    },
    LiveEncoder {
        element: "x264enc",
        properties: |kbps, pixels| {
            let threads = if pixels > LARGE_PX { 4 } else { 1 };
            format!(
                "speed-preset=veryfast tune=zerolatency pass=cbr bitrate={kbps} key-int-max=2147483647 threads={threads} option-string=scenecut=0"
            )
        },
    },
    LiveEncoder {
        element: "openh264enc",
        properties: |kbps, _| format!("rate-control=bitrate bitrate={} complexity=low gop-size=0 multi-thread=1", u64::from(kbps) * 1000),
    },
];

impl LiveEncoder {
    /// The encoder of this element.
    ///
    /// # Errors
    /// [`Kind::Config`](crate::error::Kind::Config) for one that live outputs do not use.
    pub fn find(element: &str) -> Result<&'static LiveEncoder> {
        LIVE.iter().find(|encoder| encoder.element == element).ok_or_else(|| {
            let names: Vec<&str> = LIVE.iter().map(|encoder| encoder.element).collect();
            Error::config(format!("encoder {element:?} is not known: it is one of {}", names.join(", ")))
        })
    }

    /// The element with its properties, as a pipeline's text has it.
    pub fn text(&self, bitrate_kbps: u32, pixels: usize) -> String {
        format!("{} {}", self.element, (self.properties)(bitrate_kbps, pixels))
    }

    /// Encodes some frames, one of which has to become a key frame when it is asked for: sinks begin at those.
    fn prove(&self) -> Result<Vec<PixelFormat>> {
        require(self.element)?;
        let known = Encoder::find(self.element)?;
        let formats = known.formats()?;
        let format = *formats.first().ok_or_else(|| Error::runtime("takes none of I420, NV12 and I420_10LE"))?;
        let shape = Shape::of_size(SIZE_PX.0, SIZE_PX.1)?;
        let picture = crate::frame::PictureInfo { format, ..shape.picture };
        let caps = encoder_caps(&picture, SIZE_PX, &shape.video, CLAIMS_A_RATE)?;
        let plan = Plan {
            text: include_str!("../../../pipelines/live_encoder.gst"),
            encoder: &self.text(500, SIZE_PX.0 * SIZE_PX.1),
            caps: &caps,
            picture,
            key_interval: Duration::from_secs(3600),
            dropped: Counter::unregistered(),
            latency: Histogram::unregistered(),
            encode: Histogram::unregistered(),
            clock: Clock::machine(),
        };
        let (packets, came) = crossbeam_channel::bounded::<Packet>(FRAMES * 2);
        let mut encoding = Encoding::start(&plan, move |packet| drop(packets.try_send(packet)))?;
        let proven = watch(&mut encoding, &came);
        match (proven, encoding.stop()) {
            (Ok(()), true) => Ok(formats),
            (Ok(()), false) => Err(Error::runtime("does not stop")),
            (Err(error), _) => Err(error),
        }
    }
}

/// Pushes the proof's frames, each when the one before has come out.
fn watch(encoding: &mut Encoding, came: &crossbeam_channel::Receiver<Packet>) -> Result<()> {
    for index in 0..FRAMES {
        if index == KEY {
            encoding.key_request().ask();
        }
        let mut frame = encoding.buffer()?;
        for plane in frame.planes_mut() {
            plane.data.fill(100 + index as u8);
        }
        let span = Duration::from_millis(100);
        encoding.push(frame.into_padded_buffer(), (span * index as u32, Some(span)), None, false)?;
        let packet = came.recv_timeout(PROOF).map_err(|_| {
            let said = encoding.failed().err().map(|error| error.to_string());
            Error::runtime(said.unwrap_or_else(|| format!("frame {index} did not come out in {} seconds", PROOF.as_secs())))
        })?;
        if packet.key != (index == 0 || index == KEY) {
            return Err(Error::runtime("does not make key frames when they are asked for"));
        }
    }
    Ok(())
}

/// The first encoder that works here, or the one that is asked for: it is tried by encoding some frames. Order: nvh264enc, vah264enc,
/// v4l2h264enc, x264enc, openh264enc. What was found holds for the process.
///
/// # Errors
/// [`Kind::Config`](crate::error::Kind::Config) for a name that is not known, [`Kind::Runtime`](crate::error::Kind::Runtime) where the one
/// that is asked for, or every one, does not work here.
pub fn pick_encoder(asked: Option<&str>) -> Result<Picked> {
    static PROVEN: Mutex<Option<HashMap<&'static str, Result<Picked, String>>>> = Mutex::new(None);
    crate::video::init()?;
    let mut proven = PROVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let proven = proven.get_or_insert_default();
    let mut prove = |encoder: &'static LiveEncoder| {
        let entry = proven.entry(encoder.element).or_insert_with(|| match encoder.prove() {
            Ok(formats) => Ok(Picked { element: encoder.element.to_owned(), formats }),
            Err(error) => Err(error.to_string()),
        });
        entry.clone()
    };
    if let Some(name) = asked {
        let encoder = LiveEncoder::find(name)?;
        return prove(encoder).map_err(|why| Error::runtime(format!("encoder {name} does not work here: {why}")));
    }
    let mut why = Vec::new();
    for encoder in &LIVE {
        match prove(encoder) {
            Ok(picked) => {
                for fault in &why {
                    tracing::debug!("{fault}");
                }
                return Ok(picked);
            }
            Err(fault) => why.push(format!("{}: {fault}", encoder.element)),
        }
    }
    Err(Error::runtime(format!("no H.264 encoder works here ({}): install gstreamer1.0-plugins-ugly for x264enc", why.join("; "))))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn an_encoder_is_found_by_trying() {
        let picked = pick_encoder(None).unwrap();
        assert!(picked.formats.contains(&PixelFormat::I420), "{picked:?}");
        assert_eq!(pick_encoder(Some(&picked.element)).unwrap(), picked);
        for name in ["x264enc", "openh264enc"] {
            assert_eq!(pick_encoder(Some(name)).unwrap().element, name);
        }
    }

    #[test]
    fn one_that_does_not_work_says_so() {
        let missing = LIVE.iter().map(|encoder| encoder.element).find(|name| require(name).is_err());
        if let Some(name) = missing {
            let error = pick_encoder(Some(name)).unwrap_err();
            assert!(error.to_string().contains("does not work here") && error.to_string().contains("install"), "{error}");
        }
        let error = pick_encoder(Some("vp8enc")).unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.to_string().contains("x264enc"), "{error}");
    }
}
