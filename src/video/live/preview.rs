//! Small JPEG pictures of drawn frames, for pages.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;

use super::settings::Preview;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::frame::PictureInfo;
use crate::video::launch::{find, pipeline, pipeline_text};
use crate::video::watch::Running;

/// After a fault nothing is tried for so long.
const REST: Duration = Duration::from_secs(30);

/// Makes pictures while somebody looks. Giving it a frame never waits.
pub(super) struct Previewer {
    settings: Preview,
    text: String,
    caps: gst::Caps,
    clock: Clock,
    running: Option<(Running, gst_app::AppSrc)>,
    /// The next picture is not made before.
    next_at: Duration,
}

/// Columns and rows in square pixels: no wider than asked for, no wider than the picture, and even.
fn size_px(picture: &PictureInfo, most_width_px: u32) -> (usize, usize) {
    let (aspect_wide, aspect_high) = picture.pixel_aspect;
    let shown_width = picture.width_px as f64 * f64::from(aspect_wide) / f64::from(aspect_high.max(1));
    let width = shown_width.min(f64::from(most_width_px)).max(2.0);
    let height = picture.height_px as f64 * width / shown_width;
    let even = |px: f64| ((px / 2.0).round() as usize * 2).max(2);
    (even(width), even(height))
}

impl Previewer {
    /// Nothing is made yet. `caps` are those of the frames that come.
    pub fn new(
        settings: &Preview,
        picture: &PictureInfo,
        caps: &gst::Caps,
        folder: Option<&std::path::Path>,
        clock: &Clock,
    ) -> Result<Self> {
        let text = pipeline_text(folder, "live_preview.gst", include_str!("../../../pipelines/live_preview.gst"))?;
        let (width, height) = size_px(picture, settings.width_px);
        let text = text.replace("{width}", &width.to_string()).replace("{height}", &height.to_string());
        Ok(Previewer { settings: settings.clone(), text, caps: caps.clone(), clock: clock.clone(), running: None, next_at: Duration::ZERO })
    }

    /// A drawn frame that nobody writes any more.
    pub fn give(&mut self, frame: &gst::Buffer) {
        let now = self.clock.now();
        if now < self.next_at || self.settings.viewers.load(Ordering::Relaxed) == 0 {
            return;
        }
        self.next_at = now + Duration::from_secs(1) / self.settings.fps.max(1);
        if let Err(error) = self.make(frame) {
            tracing::warn!("no preview: {error}");
            self.running = None;
            self.next_at = now + REST;
        }
    }

    fn make(&mut self, frame: &gst::Buffer) -> Result<()> {
        if self.running.is_none() {
            self.running = Some(self.start()?);
        }
        let (running, frames) = self.running.as_ref().expect("started above");
        if let Some(fault) = &running.watch.lock().fault {
            return Err(Error::runtime(fault.words.clone()));
        }
        let mut frame = frame.clone();
        // Times are not looked at; a copy of the buffer shares its memory.
        frame.make_mut().set_pts(gst::ClockTime::ZERO);
        frames.push_buffer(frame).map(|_| ()).map_err(|error| Error::runtime(error.to_string()))
    }

    fn start(&self) -> Result<(Running, gst_app::AppSrc)> {
        let running = Running::new(pipeline(&self.text, &[])?);
        let frames: gst_app::AppSrc = find(&running.pipeline, "frames")?;
        frames.set_caps(Some(&self.caps));
        let pictures: gst_app::AppSink = find(&running.pipeline, "pictures")?;
        let deliver = std::sync::Arc::clone(&self.settings.deliver);
        let new_sample = move |pictures: &gst_app::AppSink| {
            let sample = pictures.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            if let Some(map) = sample.buffer().and_then(|buffer| buffer.map_readable().ok()) {
                deliver(Bytes::copy_from_slice(&map));
            }
            Ok(gst::FlowSuccess::Ok)
        };
        pictures.set_callbacks(gst_app::AppSinkCallbacks::builder().new_sample(new_sample).build());
        running.set_state(gst::State::Playing)?;
        Ok((running, frames))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Matrix, PixelFormat};

    #[test]
    fn previews_are_as_wide_as_asked_for_and_not_stretched() {
        let picture = |width_px, height_px, pixel_aspect| PictureInfo {
            width_px,
            height_px,
            format: PixelFormat::I420,
            matrix: Matrix::Bt601,
            full_range: false,
            pixel_aspect,
        };
        assert_eq!(size_px(&picture(1920, 1080, (1, 1)), 480), (480, 270));
        assert_eq!(size_px(&picture(320, 240, (1, 1)), 480), (320, 240));
        assert_eq!(size_px(&picture(720, 576, (16, 11)), 480), (480, 264));
        assert_eq!(size_px(&picture(3, 1001, (1, 1)), 480), (4, 1002));
    }
}
