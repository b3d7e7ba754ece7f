//! The plate that a stream shows while its source gives nothing: the last picture, darkened and without its colours' strength, and a text.

use super::caption::{Caption, Strip};
use crate::frame::{FrameMut, PictureInfo};

/// Draws plates on pictures of one size, format and colour.
#[derive(Debug)]
pub struct Plate {
    strip: Option<Strip>,
}

impl Plate {
    /// For pictures like `info`. Where they are too small for a text they are darkened only.
    pub fn new(info: &PictureInfo) -> Self {
        Plate { strip: Strip::new(info) }
    }

    /// Makes a plate of the picture in `out`.
    pub fn draw(&mut self, text: &str, out: &mut dyn FrameMut) {
        let info = *out.info();
        let mut planes = out.planes_mut();
        let [black, neutral, _] = info.samples_from_rgb([0.0; 3]).map(|sample| sample.round() as u16);
        for (index, plane) in planes.iter_mut().enumerate() {
            let base = if index == 0 { black } else { neutral };
            let (samples, rows) = info.format.plane_size(index, info.width_px, info.height_px);
            for row in plane.data.chunks_mut(plane.stride_bytes).take(rows) {
                halve(&mut row[..samples * info.format.sample_bytes()], base, info.format.sample_bytes());
            }
        }
        if let Some(strip) = &mut self.strip {
            strip.draw(&Caption { left: text.to_owned(), right: String::new() }, &info, &mut planes);
        }
    }
}

/// Brings samples half way to `base`.
fn halve(row: &mut [u8], base: u16, sample_bytes: usize) {
    if sample_bytes == 1 {
        row.iter_mut().for_each(|sample| *sample = ((u16::from(*sample) + base) / 2) as u8);
        return;
    }
    for sample in row.chunks_exact_mut(2) {
        let halved = (u16::from_le_bytes([sample[0], sample[1]]) + base) / 2;
        sample.copy_from_slice(&halved.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Frame, Matrix, OwnedFrame, PixelFormat};

    #[test]
    fn the_picture_is_darkened_and_the_text_is_at_its_foot() {
        for format in [PixelFormat::I420, PixelFormat::Nv12, PixelFormat::I420Ten] {
            let info =
                PictureInfo { width_px: 161, height_px: 121, format, matrix: Matrix::Bt601, full_range: false, pixel_aspect: (1, 1) };
            let unit = 1u16 << (format.sample_bits() - 8);
            let mut picture = OwnedFrame::zeroed(info);
            let sample = |bytes: &[u8], at: usize| match format.sample_bytes() {
                1 => u16::from(bytes[at]),
                _ => u16::from_le_bytes([bytes[2 * at], bytes[2 * at + 1]]),
            };
            for plane in picture.planes_mut() {
                match format.sample_bytes() {
                    1 => plane.data.fill(200),
                    _ => plane.data.chunks_exact_mut(2).for_each(|sample| sample.copy_from_slice(&800u16.to_le_bytes())),
                }
            }
            Plate::new(&info).draw("no signal", &mut picture);
            assert_eq!(sample(picture.plane(0).data, 0), 108 * unit, "{format:?}");
            assert_eq!(sample(picture.plane(1).data, 0), 164 * unit, "{format:?}");
            let luma = picture.plane(0);
            let brightest = (0..161 * 121).map(|at| sample(luma.data, at)).max();
            assert!(brightest > Some(220 * unit), "white letters: {brightest:?}");
        }
    }
}
