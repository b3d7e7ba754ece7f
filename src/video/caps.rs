//! Caps and picture infos, there and back.

use gst_video::{VideoColorMatrix, VideoColorRange, VideoColorimetry, VideoFormat, VideoInfo};

use crate::error::{Error, Result};
use crate::frame::{Matrix, PictureInfo, PixelFormat};

/// GStreamer's name of a layout.
pub(super) fn video_format(format: PixelFormat) -> VideoFormat {
    match format {
        PixelFormat::I420 => VideoFormat::I420,
        PixelFormat::Nv12 => VideoFormat::Nv12,
        PixelFormat::I420Ten => VideoFormat::I42010le,
    }
}

/// The layout of this name, if it is one of ours.
pub(super) fn pixel_format(format: VideoFormat) -> Option<PixelFormat> {
    [PixelFormat::I420, PixelFormat::Nv12, PixelFormat::I420Ten].into_iter().find(|&own| video_format(own) == format)
}

/// The layout that video of these caps is handed out in: its own where `accepted` has it, else the nearest that `accepted` has. Interlaced
/// video goes to eight bits, since `deinterlace` takes no more.
pub(super) fn nearest_format(decoded: &VideoInfo, accepted: &[PixelFormat]) -> Result<PixelFormat> {
    let own = pixel_format(decoded.format());
    let eight_bits_only = decoded.is_interlaced();
    let usable = |format: &PixelFormat| accepted.contains(format) && !(eight_bits_only && format.sample_bits() > 8);
    let deep = decoded.format_info().depth()[0] > 8;
    let order = if deep && !eight_bits_only {
        [PixelFormat::I420Ten, PixelFormat::I420, PixelFormat::Nv12]
    } else {
        [PixelFormat::I420, PixelFormat::Nv12, PixelFormat::I420Ten]
    };
    own.filter(usable)
        .or_else(|| order.into_iter().find(usable))
        .ok_or_else(|| Error::runtime("the encoder takes none of I420, NV12 and I420_10LE: choose another by --encoder"))
}

/// What the rest of the program needs to know of video caps.
pub(super) fn picture_info(info: &VideoInfo) -> Result<PictureInfo> {
    let format = pixel_format(info.format())
        .ok_or_else(|| Error::runtime(format!("frames came in the format {}, which was not asked for", info.format().to_str())))?;
    let matrix = match info.colorimetry().matrix() {
        VideoColorMatrix::Bt2020 => Matrix::Bt2020,
        VideoColorMatrix::Bt709 => Matrix::Bt709,
        VideoColorMatrix::Fcc | VideoColorMatrix::Bt601 | VideoColorMatrix::Smpte240m => Matrix::Bt601,
        // Unsaid: by size, as players guess.
        _ if is_large(info) => Matrix::Bt709,
        _ => Matrix::Bt601,
    };
    let aspect = info.par();
    let positive = |part: i32| u32::try_from(part).unwrap_or(1).max(1);
    Ok(PictureInfo {
        width_px: info.width() as usize,
        height_px: info.height() as usize,
        format,
        matrix,
        full_range: info.colorimetry().range() == VideoColorRange::Range0_255,
        pixel_aspect: (positive(aspect.numer()), positive(aspect.denom())),
    })
}

/// Fills in the matrix where caps name colours without one, as players do: by size. GStreamer drops such colours whole, and with them the
/// range that is known.
pub(super) fn complete_colours(caps: &mut gst::StructureRef) {
    let Some(mut colours) = caps.get::<&str>("colorimetry").ok().and_then(|text| text.parse::<VideoColorimetry>().ok()) else { return };
    if colours.matrix() != VideoColorMatrix::Unknown {
        return;
    }
    let large = caps.get::<i32>("height").is_ok_and(|height| height > SMALL_ROWS);
    let matrix = if large { VideoColorMatrix::Bt709 } else { VideoColorMatrix::Bt601 };
    let range = if colours.range() == VideoColorRange::Unknown { VideoColorRange::Range16_235 } else { colours.range() };
    colours = VideoColorimetry::new(range, matrix, colours.transfer(), colours.primaries());
    caps.set("colorimetry", colours.to_string());
}

/// Rows of the largest standard-definition picture.
pub(super) const SMALL_ROWS: i32 = 576;

fn is_large(info: &VideoInfo) -> bool {
    info.height() > SMALL_ROWS as u32
}

/// The caps that every frame of a file is brought to: those of the first one in the layout `format`.
pub(super) fn shape(decoded: &VideoInfo, format: PixelFormat) -> gst::Caps {
    let mut caps = gst::Caps::builder("video/x-raw")
        .field("format", video_format(format).to_str())
        .field("width", decoded.width() as i32)
        .field("height", decoded.height() as i32)
        .field("pixel-aspect-ratio", decoded.par());
    let colours = decoded.colorimetry();
    if !decoded.format_info().is_yuv() {
        // RGB and grey have no matrix; left to itself the conversion carries that into YUV, where it means GBR.
        caps = caps.field("colorimetry", if is_large(decoded) { "bt709" } else { "bt601" });
    } else {
        caps = caps.field("colorimetry", colours.to_string());
    }
    caps.build()
}

/// Caps of the encoder's input: the size of `picture` (which may be wider than the source's), everything else the source's.
pub(super) fn encoder_caps(picture: &PictureInfo, coded_px: (usize, usize), source: &VideoInfo, needs_rate: bool) -> Result<gst::Caps> {
    let side = |px: usize| i32::try_from(px).map_err(|_| Error::usage(format!("{px} pixels is no size for a video")));
    let aspect = gst::Fraction::new(picture.pixel_aspect.0 as i32, picture.pixel_aspect.1 as i32);
    let mut caps = source.to_caps().map_err(|error| Error::runtime(format!("the source's caps cannot be written out: {error}")))?;
    let structure = caps.make_mut().structure_mut(0).expect("caps of a video info have one structure");
    structure.set("format", video_format(picture.format).to_str());
    structure.set("width", side(coded_px.0)?);
    structure.set("height", side(coded_px.1)?);
    structure.set("pixel-aspect-ratio", aspect);
    structure.set("interlace-mode", "progressive");
    if needs_rate && source.fps().numer() == 0 {
        structure.set("framerate", gst::Fraction::new(30, 1));
    }
    structure.remove_field("views");
    structure.remove_field("multiview-mode");
    structure.remove_field("multiview-flags");
    Ok(caps)
}
