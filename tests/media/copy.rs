//! Frames from a source to a sink, unchanged.

use std::path::{Path, PathBuf};

use gradcast::error::Result;
use gradcast::frame::{Frame, FrameMut};
use gradcast::video::{AudioMode, DecodedFrame, Finished, Losses, OutputFrame, Sink, SinkSettings, Source, SourceInfo, SourceSettings};

/// What a copy left behind.
#[derive(Debug)]
pub struct Copied {
    pub frames: usize,
    pub pts_ms: Vec<f64>,
    pub info: SourceInfo,
    pub losses: Losses,
    pub finished: Finished,
}

pub fn reading(input: impl AsRef<Path>) -> SourceSettings {
    let input = input.as_ref().to_string_lossy().into_owned();
    SourceSettings { input, start: None, duration: None, formats: Vec::new(), audio: AudioMode::Copy }
}

pub fn writing(path: impl Into<PathBuf>) -> SinkSettings {
    SinkSettings { path: path.into(), ..SinkSettings::default() }
}

pub fn copy(source: SourceSettings, sink: SinkSettings) -> Result<Copied> {
    copy_with(source, sink, |_| {})
}

/// Copies and calls `each` with the number of every frame that was pushed.
pub fn copy_with(mut source: SourceSettings, sink: SinkSettings, mut each: impl FnMut(usize)) -> Result<Copied> {
    Sink::check(&sink, &source.input)?;
    source.formats = Sink::formats(&sink)?;
    let mut source = Source::open(&source)?;
    let info = source.info().clone();
    let audio = source.take_audio();
    let mut sink = Sink::create(&sink, &info.picture, &info, audio)?;
    let mut pts_ms = Vec::new();
    while let Some(frame) = source.next_frame()? {
        let mut out = sink.buffer()?;
        copy_planes(&frame, &mut out);
        pts_ms.push(frame.pts.as_secs_f64() * 1e3);
        sink.push(out, frame.pts, frame.duration)?;
        each(pts_ms.len());
    }
    let losses = source.losses();
    drop(source);
    let finished = sink.finish()?;
    Ok(Copied { frames: pts_ms.len(), pts_ms, info, losses, finished })
}

pub fn copy_planes(frame: &DecodedFrame, out: &mut OutputFrame) {
    let info = *frame.info();
    assert_eq!(info, *FrameMut::info(out));
    for (index, to) in out.planes_mut().into_iter().enumerate() {
        let from = frame.plane(index);
        let (width, rows) = info.format.plane_size(index, info.width_px, info.height_px);
        let bytes = width * info.format.sample_bytes();
        for row in 0..rows {
            let source = &from.data[row * from.stride_bytes..][..bytes];
            to.data[row * to.stride_bytes..][..bytes].copy_from_slice(source);
        }
    }
}
