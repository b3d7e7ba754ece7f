//! What every frame of a live stream is brought to, so that its output never changes.

use gst_video::{VideoColorimetry, VideoInfo};

use super::super::caps::{SMALL_ROWS, picture_info, video_format};
use crate::error::{Error, Result};
use crate::frame::{PictureInfo, PixelFormat};

/// Sides of the largest picture that is made, in pixels; H.264 goes no further.
const LARGEST_SIDE_PX: usize = 8192;

/// Size, layout and colour of a stream's frames, taken from the first frame of its first source, or of a size that was asked for.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Of every frame.
    pub picture: PictureInfo,
    /// Frames a second as a fraction, where the source claims a rate. Times never come from it.
    pub frame_rate: Option<(u32, u32)>,
    pub(in crate::video) video: VideoInfo,
}

impl Shape {
    /// Of this size, for streams whose size is configured or that have not had a frame: I420, square pixels, BT.709 above 576 rows and
    /// BT.601 up to there.
    ///
    /// # Errors
    /// [`Kind::Config`](crate::error::Kind::Config) where no video has such a size.
    pub fn of_size(width_px: usize, height_px: usize) -> Result<Shape> {
        Shape::of_size_in(width_px, height_px, PixelFormat::I420)
    }

    /// The same in another layout, for encoders that do not take I420.
    ///
    /// # Errors
    /// As [`Shape::of_size`].
    pub fn of_size_in(width_px: usize, height_px: usize, format: PixelFormat) -> Result<Shape> {
        crate::video::init()?;
        let fits = |px: usize| (2..=LARGEST_SIDE_PX).contains(&px);
        if !fits(width_px) || !fits(height_px) {
            return Err(Error::config(format!(
                "{width_px}x{height_px} is no size for a video: give 2 to {LARGEST_SIDE_PX} pixels a side, as in \"1280x720\""
            )));
        }
        let colours = if height_px > SMALL_ROWS as usize { "bt709" } else { "bt601" };
        let colours: VideoColorimetry = colours.parse().expect("GStreamer knows the names of its colours");
        let video = VideoInfo::builder(video_format(format), width_px as u32, height_px as u32).colorimetry(&colours).build();
        Shape::of_video(&video.map_err(|error| Error::runtime(format!("GStreamer knows no video of {width_px}x{height_px}: {error}")))?)
    }

    /// That of frames with these caps, which are progressive and in a layout of ours.
    pub(in crate::video) fn of_video(video: &VideoInfo) -> Result<Shape> {
        let rate = video.fps();
        let frame_rate = (rate.numer() > 0 && rate.denom() > 0).then(|| (rate.numer() as u32, rate.denom() as u32));
        Ok(Shape { picture: picture_info(video)?, frame_rate, video: video.clone() })
    }

    /// What a capsfilter has to ask for. The rate is left out: frames keep their own times.
    pub(in crate::video) fn caps(&self) -> gst::Caps {
        gst::Caps::builder("video/x-raw")
            .field("format", self.video.format().to_str())
            .field("width", self.video.width() as i32)
            .field("height", self.video.height() as i32)
            .field("pixel-aspect-ratio", self.video.par())
            .field("colorimetry", self.video.colorimetry().to_string())
            .field("interlace-mode", "progressive")
            .build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::frame::Matrix;

    #[test]
    fn a_size_has_the_colours_that_players_guess() {
        let small = Shape::of_size(640, 360).unwrap();
        let expected = PictureInfo {
            width_px: 640,
            height_px: 360,
            format: PixelFormat::I420,
            matrix: Matrix::Bt601,
            full_range: false,
            pixel_aspect: (1, 1),
        };
        assert_eq!((small.picture, small.frame_rate), (expected, None));
        assert_eq!(Shape::of_size(1280, 720).unwrap().picture.matrix, Matrix::Bt709);
        let other = Shape::of_size_in(640, 360, PixelFormat::Nv12).unwrap();
        assert_eq!(other.picture, PictureInfo { format: PixelFormat::Nv12, ..expected });
        let caps = small.caps();
        let caps = caps.structure(0).unwrap();
        assert_eq!(caps.get::<&str>("colorimetry").unwrap(), "bt601");
        assert_eq!(caps.get::<i32>("width").unwrap(), 640);
    }

    #[test]
    fn no_video_has_no_pixels() {
        for (width_px, height_px) in [(0, 360), (640, 1), (100_000, 360)] {
            assert_eq!(Shape::of_size(width_px, height_px).unwrap_err().kind(), Kind::Config);
        }
    }
}
