//! Who looks at a stream over RTSP, and remembers what was seen.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use gst::prelude::*;
use image::RgbImage;

use crate::stage::wait_for;

/// A viewer by GStreamer. Every picture is kept, so streams should be small and tests short.
pub struct Viewer {
    pipeline: gst::Pipeline,
    seen: Arc<Mutex<Vec<Seen>>>,
    fault: Arc<Mutex<Option<String>>>,
}

/// A picture and its time in the viewer's pipeline.
#[derive(Clone)]
pub struct Seen {
    pub time: Duration,
    pub picture: RgbImage,
}

impl Viewer {
    pub fn start(url: &str) -> Viewer {
        gst::init().unwrap();
        let text = "rtspsrc name=source protocols=tcp latency=0 ! decodebin ! videoconvert ! video/x-raw,format=RGB ! \
                    appsink name=pictures sync=false max-buffers=4";
        let pipeline = gst::parse::launch(text).unwrap().downcast::<gst::Pipeline>().unwrap();
        pipeline.by_name("source").unwrap().set_property("location", url);
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let keeps = Arc::clone(&seen);
        let on_sample = move |sink: &gst_app::AppSink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            keeps.lock().unwrap().push(Seen::of(&sample));
            Ok(gst::FlowSuccess::Ok)
        };
        let sink = pipeline.by_name("pictures").unwrap().downcast::<gst_app::AppSink>().unwrap();
        sink.set_callbacks(gst_app::AppSinkCallbacks::builder().new_sample(on_sample).build());
        let fault: Arc<Mutex<Option<String>>> = Arc::default();
        let hears = Arc::clone(&fault);
        pipeline.bus().unwrap().set_sync_handler(move |_, message| {
            match message.view() {
                gst::MessageView::Error(error) => *hears.lock().unwrap() = Some(error.error().to_string()),
                gst::MessageView::Eos(_) => *hears.lock().unwrap() = Some("end".to_owned()),
                _ => {}
            }
            gst::BusSyncReply::Drop
        });
        pipeline.set_state(gst::State::Playing).unwrap();
        Viewer { pipeline, seen, fault }
    }

    /// How many pictures came so far.
    pub fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// The pictures from this one on.
    pub fn since(&self, first: usize) -> Vec<Seen> {
        self.seen.lock().unwrap()[first..].to_vec()
    }

    pub fn last(&self) -> RgbImage {
        self.seen.lock().unwrap().last().unwrap().picture.clone()
    }

    /// Why it is not served any more.
    pub fn fault(&self) -> Option<String> {
        self.fault.lock().unwrap().clone()
    }

    /// Waits for so many more pictures; it must not be thrown out meanwhile.
    pub fn sees(&self, more: usize) {
        let before = self.count();
        self.waits_for("pictures", || self.count() >= before + more);
    }

    /// Waits for something, still being served.
    pub fn waits_for(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        wait_for(what, || {
            assert_eq!(self.fault(), None, "while waiting for {what}");
            is_so()
        });
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        // From another thread: what hangs must not hang the test.
        let pipeline = self.pipeline.clone();
        thread::spawn(move || pipeline.set_state(gst::State::Null));
    }
}

impl Seen {
    fn of(sample: &gst::Sample) -> Seen {
        let caps = sample.caps().unwrap().structure(0).unwrap();
        let side = |name| caps.get::<i32>(name).unwrap() as usize;
        let (width, height) = (side("width"), side("height"));
        let bytes = sample.buffer().unwrap().map_readable().unwrap();
        // GStreamer pads rows of RGB to four bytes.
        let rows = bytes.chunks((3 * width).next_multiple_of(4)).take(height);
        let pixels: Vec<u8> = rows.flat_map(|row| &row[..3 * width]).copied().collect();
        let time = sample.buffer().unwrap().pts().map(Duration::from).unwrap_or_default();
        Seen { time, picture: RgbImage::from_raw(width as u32, height as u32, pixels).unwrap() }
    }
}

/// The mean sample of a part of a picture; fractions of its sides.
pub fn brightness(picture: &RgbImage, x: std::ops::Range<f32>, y: std::ops::Range<f32>) -> f64 {
    let samples = part(picture, x, y);
    samples.iter().map(|&sample| f64::from(sample)).sum::<f64>() / samples.len() as f64
}

/// The mean difference of samples in a part of two pictures.
pub fn difference(one: &RgbImage, other: &RgbImage, x: std::ops::Range<f32>, y: std::ops::Range<f32>) -> f64 {
    let (one, other) = (part(one, x.clone(), y.clone()), part(other, x, y));
    one.iter().zip(&other).map(|(&a, &b)| f64::from(a.abs_diff(b))).sum::<f64>() / one.len() as f64
}

fn part(picture: &RgbImage, x: std::ops::Range<f32>, y: std::ops::Range<f32>) -> Vec<u8> {
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    let columns = (x.start * width) as u32..(x.end * width) as u32;
    let rows = (y.start * height) as u32..(y.end * height) as u32;
    rows.flat_map(|row| columns.clone().flat_map(move |column| picture.get_pixel(column, row).0)).collect()
}

/// Writes a picture as a PNG file into the folder that GRADCAST_PICTURES names, for people to look at.
pub fn keep(picture: &RgbImage, name: &str) {
    if let Some(folder) = std::env::var_os("GRADCAST_PICTURES") {
        picture.save(Path::new(&folder).join(format!("{name}.png"))).unwrap();
    }
}
