//! A decoded picture as plain memory: what video hands out, preprocessing reads and the overlay blends.
//!
//! Pictures at full size stay in the decoder's own YUV layout. `video` implements [`Frame`] and [`FrameMut`] for GStreamer's
//! buffers; [`OwnedFrame`] is the same in ordinary memory, for tests and benches.

/// How samples lie in memory. Chroma is always 4:2:0: its planes have half the size, rounded up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PixelFormat {
    /// Three planes Y, U, V; 8 bits a sample.
    I420,
    /// Two planes Y, UV interleaved; 8 bits a sample.
    Nv12,
    /// Three planes Y, U, V; ten bits a sample in the low bits of little-endian 16-bit words.
    I420Ten,
}

impl PixelFormat {
    /// Number of planes.
    pub fn planes(self) -> usize {
        match self {
            PixelFormat::Nv12 => 2,
            PixelFormat::I420 | PixelFormat::I420Ten => 3,
        }
    }

    /// Bytes of one sample: 1 or 2.
    pub fn sample_bytes(self) -> usize {
        match self {
            PixelFormat::I420Ten => 2,
            PixelFormat::I420 | PixelFormat::Nv12 => 1,
        }
    }

    /// Bits of one sample: 8 or 10.
    pub fn sample_bits(self) -> u32 {
        match self {
            PixelFormat::I420Ten => 10,
            PixelFormat::I420 | PixelFormat::Nv12 => 8,
        }
    }

    /// Samples in a row, and rows, of plane `index` in a picture of this size. A UV pair counts as two samples.
    pub fn plane_size(self, index: usize, width_px: usize, height_px: usize) -> (usize, usize) {
        match (self, index) {
            (_, 0) => (width_px, height_px),
            (PixelFormat::Nv12, _) => (width_px.div_ceil(2) * 2, height_px.div_ceil(2)),
            _ => (width_px.div_ceil(2), height_px.div_ceil(2)),
        }
    }
}

/// Which weights make luma out of red, green and blue (ITU-R BT.601, BT.709, BT.2020 non-constant luminance).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Matrix {
    /// Kr = 0.299, Kb = 0.114.
    Bt601,
    /// Kr = 0.2126, Kb = 0.0722.
    Bt709,
    /// Kr = 0.2627, Kb = 0.0593.
    Bt2020,
}

impl Matrix {
    /// (Kr, Kb), the luma weights of red and blue.
    pub fn weights(self) -> (f32, f32) {
        match self {
            Matrix::Bt601 => (0.299, 0.114),
            Matrix::Bt709 => (0.2126, 0.0722),
            Matrix::Bt2020 => (0.2627, 0.0593),
        }
    }
}

/// Everything about a picture but its samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PictureInfo {
    /// Displayed columns.
    pub width_px: usize,
    /// Displayed rows.
    pub height_px: usize,
    /// Layout of the samples.
    pub format: PixelFormat,
    /// Colour matrix.
    pub matrix: Matrix,
    /// True: samples use the whole range. False: luma 16..=235, chroma 16..=240 (times 4 at ten bits).
    pub full_range: bool,
    /// Width to height of a pixel as a fraction, (1, 1) for square ones.
    pub pixel_aspect: (u32, u32),
}

impl PictureInfo {
    /// Samples (y, u, v) of a colour given as (red, green, blue) in 0..=1. Neither rounded nor clamped.
    pub fn samples_from_rgb(&self, [r, g, b]: [f32; 3]) -> [f32; 3] {
        let (kr, kb) = self.matrix.weights();
        let y = kr * r + (1.0 - kr - kb) * g + kb * b;
        let u = (b - y) / (2.0 * (1.0 - kb));
        let v = (r - y) / (2.0 * (1.0 - kr));
        let (black, luma_span, neutral, chroma_span) = self.ranges();
        [black + luma_span * y, neutral + chroma_span * u, neutral + chroma_span * v]
    }

    /// The colour (red, green, blue) of samples (y, u, v); 0..=1 is black to white. Not clamped: YUV has room outside RGB's cube.
    pub fn rgb_from_samples(&self, [y, u, v]: [f32; 3]) -> [f32; 3] {
        let (kr, kb) = self.matrix.weights();
        let (black, luma_span, neutral, chroma_span) = self.ranges();
        let y = (y - black) / luma_span;
        let b = y + 2.0 * (1.0 - kb) * (u - neutral) / chroma_span;
        let r = y + 2.0 * (1.0 - kr) * (v - neutral) / chroma_span;
        [r, (y - kr * r - kb * b) / (1.0 - kr - kb), b]
    }

    /// Black, luma's span to white, neutral chroma, chroma's span from -0.5 to 0.5; in sample values (BT.601, BT.709, BT.2100).
    fn ranges(&self) -> (f32, f32, f32, f32) {
        let bits = self.format.sample_bits();
        let unit = (1u32 << (bits - 8)) as f32;
        let top = ((1u32 << bits) - 1) as f32;
        if self.full_range { (0.0, top, 128.0 * unit, top) } else { (16.0 * unit, 219.0 * unit, 128.0 * unit, 224.0 * unit) }
    }
}

/// The part of a picture that a map covers, in fractions of the picture's width and height: the whole is (0, 0, 1, 1).
///
/// It may be a part of the picture (the network saw a crop) or reach beyond it (the network saw the picture with borders).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View {
    /// Left edge.
    pub x: f32,
    /// Upper edge.
    pub y: f32,
    /// Width, above zero.
    pub width: f32,
    /// Height, above zero.
    pub height: f32,
}

impl View {
    /// The map covers exactly the picture.
    pub const WHOLE: View = View { x: 0.0, y: 0.0, width: 1.0, height: 1.0 };
}

/// A still picture: rows of (red, green, blue), 8 bits each, packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Still {
    /// Columns.
    pub width_px: usize,
    /// Rows.
    pub height_px: usize,
    /// `width_px * height_px * 3` samples.
    pub rgb: Vec<u8>,
}

/// One plane of samples. Row `y` starts at byte `y * stride_bytes`; only `width` samples of it are the picture's.
#[derive(Debug, Clone, Copy)]
pub struct Plane<'a> {
    /// The plane's bytes.
    pub data: &'a [u8],
    /// Distance from a row to the next.
    pub stride_bytes: usize,
}

/// A plane that is written.
#[derive(Debug)]
pub struct PlaneMut<'a> {
    /// The plane's bytes.
    pub data: &'a mut [u8],
    /// Distance from a row to the next.
    pub stride_bytes: usize,
}

/// A picture that is read. Decoded buffers are reference pictures of the decoder: they are never written.
pub trait Frame {
    /// Size, format and colour.
    fn info(&self) -> &PictureInfo;
    /// Plane `index`, below `info().format.planes()`.
    fn plane(&self, index: usize) -> Plane<'_>;
}

/// A picture that is written: the encoder's buffer.
pub trait FrameMut {
    /// Size, format and colour.
    fn info(&self) -> &PictureInfo;
    /// All planes at once, as many as the format has.
    fn planes_mut(&mut self) -> Vec<PlaneMut<'_>>;
}

/// A picture in ordinary memory with packed rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedFrame {
    info: PictureInfo,
    planes: Vec<Vec<u8>>,
}

impl OwnedFrame {
    /// A picture with all samples zero (which is green, not black).
    pub fn zeroed(info: PictureInfo) -> Self {
        let planes = (0..info.format.planes())
            .map(|index| {
                let (width, rows) = info.format.plane_size(index, info.width_px, info.height_px);
                vec![0; width * rows * info.format.sample_bytes()]
            })
            .collect();
        Self { info, planes }
    }

    /// A black picture.
    pub fn black(info: PictureInfo) -> Self {
        let mut frame = Self::zeroed(info);
        let samples = info.samples_from_rgb([0.0; 3]).map(|sample| sample.round() as u16);
        for (index, plane) in frame.planes.iter_mut().enumerate() {
            match info.format.sample_bytes() {
                1 => plane.fill(samples[index.min(1)] as u8),
                _ => plane.chunks_exact_mut(2).for_each(|sample| sample.copy_from_slice(&samples[index.min(1)].to_le_bytes())),
            }
        }
        frame
    }

    fn stride_bytes(&self, index: usize) -> usize {
        self.info.format.plane_size(index, self.info.width_px, self.info.height_px).0 * self.info.format.sample_bytes()
    }
}

impl Frame for OwnedFrame {
    fn info(&self) -> &PictureInfo {
        &self.info
    }

    fn plane(&self, index: usize) -> Plane<'_> {
        Plane { data: &self.planes[index], stride_bytes: self.stride_bytes(index) }
    }
}

impl FrameMut for OwnedFrame {
    fn info(&self) -> &PictureInfo {
        &self.info
    }

    fn planes_mut(&mut self) -> Vec<PlaneMut<'_>> {
        let strides: Vec<usize> = (0..self.planes.len()).map(|index| self.stride_bytes(index)).collect();
        self.planes.iter_mut().zip(strides).map(|(data, stride_bytes)| PlaneMut { data, stride_bytes }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_and_red_have_the_standards_samples() {
        let info = |format, matrix, full_range| PictureInfo { width_px: 2, height_px: 2, format, matrix, full_range, pixel_aspect: (1, 1) };
        let rounded = |info: PictureInfo, rgb| info.samples_from_rgb(rgb).map(|v| v.round() as i32);
        let studio = info(PixelFormat::I420, Matrix::Bt601, false);
        assert_eq!(rounded(studio, [1.0; 3]), [235, 128, 128]);
        assert_eq!(rounded(studio, [1.0, 0.0, 0.0]), [81, 90, 240]);
        assert_eq!(rounded(info(PixelFormat::I420Ten, Matrix::Bt709, false), [1.0, 0.0, 0.0]), [250, 409, 960]);
        assert_eq!(rounded(info(PixelFormat::Nv12, Matrix::Bt709, true), [0.0, 0.0, 0.0]), [0, 128, 128]);
    }

    #[test]
    fn samples_and_colours_are_each_others_inverse() {
        for format in [PixelFormat::I420, PixelFormat::I420Ten] {
            for matrix in [Matrix::Bt601, Matrix::Bt709, Matrix::Bt2020] {
                for full_range in [false, true] {
                    let info = PictureInfo { width_px: 2, height_px: 2, format, matrix, full_range, pixel_aspect: (1, 1) };
                    let colour = [0.9, 0.2, 0.55];
                    let back = info.rgb_from_samples(info.samples_from_rgb(colour));
                    assert!(back.iter().zip(colour).all(|(a, b)| (a - b).abs() < 1e-5), "{info:?}: {back:?}");
                }
            }
        }
    }

    #[test]
    fn black_is_black_in_every_format() {
        for format in [PixelFormat::I420, PixelFormat::Nv12, PixelFormat::I420Ten] {
            let info = PictureInfo { width_px: 3, height_px: 3, format, matrix: Matrix::Bt709, full_range: false, pixel_aspect: (1, 1) };
            let black = OwnedFrame::black(info);
            let first = |index: usize| match format.sample_bytes() {
                1 => f32::from(black.plane(index).data[0]),
                _ => f32::from(u16::from_le_bytes([black.plane(index).data[0], black.plane(index).data[1]])),
            };
            let rgb = info.rgb_from_samples([first(0), first(1), first(format.planes() - 1)]);
            assert!(rgb.iter().all(|value| value.abs() < 1e-6), "{format:?}: {rgb:?}");
        }
    }

    #[test]
    fn odd_sizes_round_chroma_up() {
        let sizes = |format: PixelFormat| (0..format.planes()).map(|i| format.plane_size(i, 161, 121)).collect::<Vec<_>>();
        assert_eq!(sizes(PixelFormat::I420), [(161, 121), (81, 61), (81, 61)]);
        assert_eq!(sizes(PixelFormat::Nv12), [(161, 121), (162, 61)]);
    }
}
