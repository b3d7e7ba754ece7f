//! A decoded frame: a read-only view of the decoder's own buffer.

use std::time::Duration;

use gst_video::VideoFrameExt;
use gst_video::video_frame::{Readable, VideoFrame};

use crate::frame::{Frame, PictureInfo, Plane};

/// A frame with its time. It holds one of the decoder's buffers until it is dropped.
pub struct DecodedFrame {
    /// Time in the file, relative to the first frame of the source.
    pub pts: Duration,
    /// Until the next frame; of the last one, what the file says.
    pub duration: Duration,
    info: PictureInfo,
    frame: VideoFrame<Readable>,
}

impl DecodedFrame {
    pub(super) fn new(pts: Duration, duration: Duration, info: PictureInfo, frame: VideoFrame<Readable>) -> Self {
        Self { pts, duration, info, frame }
    }
}

impl Frame for DecodedFrame {
    fn info(&self) -> &PictureInfo {
        &self.info
    }

    fn plane(&self, index: usize) -> Plane<'_> {
        let data = self.frame.plane_data(index as u32).expect("the format has this plane");
        Plane { data, stride_bytes: self.frame.plane_stride()[index] as usize }
    }
}

impl std::fmt::Debug for DecodedFrame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DecodedFrame").field("pts", &self.pts).field("duration", &self.duration).field("info", &self.info).finish()
    }
}
