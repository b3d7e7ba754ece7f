//! What every frame of a stream looks like.

use gst_video::{VideoColorimetry, VideoFormat, VideoInfo};

use crate::error::{Error, Result};
use crate::frame::PictureInfo;
use crate::video::caps::picture_info;

/// Size, layout and colour of an output, taken from the first source's first frame.
#[derive(Debug, Clone)]
pub struct Shape {
    /// As the rest of the program sees it.
    pub picture: PictureInfo,
    /// Frames a second as a fraction, where the source says it.
    pub frame_rate: Option<(u32, u32)>,
    pub(in crate::video) video: VideoInfo,
}

impl Shape {
    /// Of this size, for streams whose size is configured or that have not had a frame: I420, BT.709 or BT.601 by size, square pixels.
    ///
    /// # Errors
    /// [`Kind::Config`](crate::error::Kind::Config) where no video has this size.
    pub fn of_size(width_px: usize, height_px: usize) -> Result<Shape> {
        crate::video::init()?;
        let refused = || Error::config(format!("{width_px}x{height_px} is no size for a video"));
        let side = |px: usize| u32::try_from(px).ok().filter(|&px| px > 0 && px <= i16::MAX as u32).ok_or_else(refused);
        let colours: VideoColorimetry = if height_px > 576 { "bt709" } else { "bt601" }.parse().map_err(|_| refused())?;
        let builder = VideoInfo::builder(VideoFormat::I420, side(width_px)?, side(height_px)?).colorimetry(&colours);
        let video = builder.fps(gst::Fraction::new(0, 1)).build().map_err(|_| refused())?;
        Ok(Shape { picture: picture_info(&video)?, frame_rate: None, video })
    }
}
