//! Still pictures: PNG, JPEG and WebP files to plain RGB and back to PNG.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Seek};
use std::path::Path;

use image::codecs::png::PngEncoder;
use image::error::ImageFormatHint;
use image::metadata::Orientation;
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageError, ImageFormat, ImageReader, Limits};

use crate::error::{Error, Kind, Result};
use crate::frame::Still;
use crate::tensor_file;

/// Larger sides are refused before anything is decoded.
const MAX_SIDE_PX: u32 = 32_768;
/// Larger pictures, in bytes as decoded, are refused before anything is decoded.
const MAX_DECODED_BYTES: u64 = 1 << 29;
/// What transparent pixels are laid on: white, as on a page.
const BACKGROUND: u16 = u16::MAX;

/// Reads a picture as it is meant to be seen: turned as its EXIF orientation says, grey as RGB, transparency on white, 16 bits
/// rounded to 8. The content says what format it is, not the name. Of an animation the first picture is taken; colour profiles
/// are not applied.
///
/// # Errors
/// [`Kind::NoInput`] when there is no such file or it cannot be opened; [`Kind::Data`] when it is none of the formats, broken, or
/// larger than 32768 pixels a side or 512 MiB decoded. The message begins with the path.
pub fn read(path: &Path) -> Result<Still> {
    let name = path.display();
    let file = File::open(path).map_err(|error| {
        let message = if error.kind() == io::ErrorKind::NotFound {
            format!("{name}: there is no such file")
        } else {
            format!("{name}: cannot be opened: {error}")
        };
        Error::no_input(message).with_source(error)
    })?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(Error::no_input(format!("{name}: is a folder; name the pictures in it")));
    }
    decode(BufReader::new(file)).map_err(|error| error.at(name))
}

/// As [`read`], of bytes in memory.
pub fn from_bytes(bytes: &[u8]) -> Result<Still> {
    decode(Cursor::new(bytes))
}

fn decode(source: impl Seek + io::BufRead) -> Result<Still> {
    let mut reader = ImageReader::new(source).with_guessed_format().map_err(|error| refused(ImageError::IoError(error)))?;
    if !matches!(reader.format(), Some(ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP)) {
        return Err(Error::data("is not a PNG, JPEG or WebP picture"));
    }
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(MAX_SIDE_PX);
    limits.max_image_height = Some(MAX_SIDE_PX);
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(refused)?;
    let (width, height) = decoder.dimensions();
    if decoder.total_bytes() > MAX_DECODED_BYTES || width > MAX_SIDE_PX || height > MAX_SIDE_PX {
        return Err(Error::data(format!(
            "{width}x{height} pixels are more than is read ({MAX_SIDE_PX} a side, {} MiB decoded)",
            MAX_DECODED_BYTES >> 20
        )));
    }
    // A broken EXIF block spoils the orientation, not the picture.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(refused)?;
    picture.apply_orientation(orientation);
    let rgb = if picture.color().has_alpha() { on_background(picture) } else { picture.into_rgb8() };
    Ok(Still { width_px: rgb.width() as usize, height_px: rgb.height() as usize, rgb: rgb.into_raw() })
}

/// Lays a picture with transparency on the background, in the samples as they are (as browsers do, not in linear light).
fn on_background(picture: DynamicImage) -> image::RgbImage {
    let rgba = picture.into_rgba16();
    image::RgbImage::from_fn(rgba.width(), rgba.height(), |x, y| {
        let [r, g, b, alpha] = rgba.get_pixel(x, y).0;
        let (top, alpha) = (u64::from(u16::MAX), u64::from(alpha));
        let over = |sample: u16| {
            let sum = u64::from(sample) * alpha + u64::from(BACKGROUND) * (top - alpha);
            // Rounded to 8 bits in one step; 257 * 255 = 65535.
            ((sum + top * 257 / 2) / (top * 257)) as u8
        };
        image::Rgb([over(r), over(g), over(b)])
    })
}

fn refused(error: ImageError) -> Error {
    let message = match &error {
        ImageError::Limits(limits) => {
            format!("is larger than is read ({MAX_SIDE_PX} pixels a side, {} MiB decoded): {limits}", MAX_DECODED_BYTES >> 20)
        }
        ImageError::Unsupported(what) if matches!(what.format_hint(), ImageFormatHint::Unknown) => {
            "is not a PNG, JPEG or WebP picture".into()
        }
        ImageError::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => "is cut short".into(),
        _ => format!("is broken: {error}"),
    };
    Error::data(message).with_source(error)
}

/// Writes a picture as PNG, over what may be there. The file appears whole or not at all.
///
/// # Errors
/// [`Kind::Runtime`] with the path, when it cannot be written.
pub fn write_png(path: &Path, still: &Still) -> Result<()> {
    let failed = |error: &dyn std::fmt::Display| Error::new(Kind::Runtime, format!("{}: cannot be written: {error}", path.display()));
    let size = |px: usize| u32::try_from(px).map_err(|error| failed(&error));
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes)
        .write_image(&still.rgb, size(still.width_px)?, size(still.height_px)?, ExtendedColorType::Rgb8)
        .map_err(|error| failed(&error).with_source(error))?;
    tensor_file::write_whole(path, &bytes)
}

#[cfg(test)]
mod tests;
