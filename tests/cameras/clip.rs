//! A recorded clip, played for ever.

use std::path::Path;
use std::sync::{Arc, Mutex};

use gst::prelude::*;
use gst_rtsp_server::RTSPMediaFactory;
use gst_rtsp_server::prelude::*;

/// The coded pictures of a clip.
pub struct Clip {
    caps: gst::Caps,
    units: Vec<gst::Buffer>,
    length: gst::ClockTime,
}

impl Clip {
    /// Reads an MP4 file with H.264.
    pub fn read(path: &Path) -> Clip {
        gst::init().unwrap();
        let text = "filesrc name=file ! qtdemux ! h264parse config-interval=-1 ! \
                    video/x-h264,stream-format=byte-stream,alignment=au ! appsink name=units sync=false";
        let pipeline = gst::parse::launch(text).unwrap().downcast::<gst::Pipeline>().unwrap();
        pipeline.by_name("file").unwrap().set_property("location", path);
        let sink = pipeline.by_name("units").unwrap().downcast::<gst_app::AppSink>().unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        let mut clip = Clip { caps: gst::Caps::new_any(), units: Vec::new(), length: gst::ClockTime::ZERO };
        while let Ok(sample) = sink.pull_sample() {
            clip.caps = sample.caps_owned().unwrap();
            let buffer = sample.buffer_owned().unwrap();
            clip.length = clip.length.max(buffer.pts().unwrap() + buffer.duration().unwrap());
            clip.units.push(buffer);
        }
        pipeline.set_state(gst::State::Null).unwrap();
        assert!(!clip.units.is_empty(), "{}: no H.264 in an MP4 file", path.display());
        clip
    }

    /// Serves it in a loop, at its own rate; all viewers see the same picture.
    pub fn factory(self) -> RTSPMediaFactory {
        let factory = RTSPMediaFactory::new();
        factory.set_launch(
            "( appsrc name=clip format=time max-bytes=0 max-buffers=4 ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1 )",
        );
        factory.set_shared(true);
        let clip = Arc::new(self);
        factory.connect_media_configure(move |_, media| {
            let bin = media.element().downcast::<gst::Bin>().unwrap();
            let source = bin.by_name("clip").unwrap().downcast::<gst_app::AppSrc>().unwrap();
            source.set_caps(Some(&clip.caps));
            let (clip, next) = (Arc::clone(&clip), Mutex::new(0));
            let need_data = move |source: &gst_app::AppSrc, _| {
                let mut next = next.lock().unwrap();
                // A source that is being stopped takes nothing.
                let _ = source.push_buffer(clip.unit(*next));
                *next += 1;
            };
            source.set_callbacks(gst_app::AppSrcCallbacks::builder().need_data(need_data).build());
        });
        factory
    }

    fn unit(&self, number: usize) -> gst::Buffer {
        let shift = self.length * (number / self.units.len()) as u64;
        let mut buffer = self.units[number % self.units.len()].copy();
        let times = buffer.make_mut();
        times.set_pts(times.pts().map(|pts| pts + shift));
        times.set_dts(times.dts().map(|dts| dts + shift));
        buffer
    }
}
