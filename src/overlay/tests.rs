//! The overlay against the definition: every pixel to RGB, blended there, and back.

use super::*;
use crate::frame::{Matrix, OwnedFrame};

/// Deterministic noise.
struct Noise(u64);

impl Noise {
    fn next(&mut self, below: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) % u64::from(below)) as u32
    }
}

/// A frame whose rows are farther apart than they are wide.
struct Strided {
    info: PictureInfo,
    planes: Vec<(Vec<u8>, usize)>,
}

impl Strided {
    fn new(info: PictureInfo, noise: &mut Noise) -> Self {
        let planes = (0..info.format.planes())
            .map(|index| {
                let (samples, rows) = info.format.plane_size(index, info.width_px, info.height_px);
                let stride = samples * info.format.sample_bytes() + 6 + 2 * index;
                let data = (0..stride * rows / info.format.sample_bytes())
                    .flat_map(|_| {
                        (noise.next(1 << info.format.sample_bits()) as u16).to_le_bytes().into_iter().take(info.format.sample_bytes())
                    })
                    .collect();
                (data, stride)
            })
            .collect();
        Self { info, planes }
    }

    /// (y, u, v) of a pixel, each of its own plane.
    fn at(&self, x: usize, y: usize) -> [f32; 3] {
        let info = &self.info;
        let sample = |plane: usize, x: usize, y: usize| {
            let (data, stride) = &self.planes[plane];
            match info.format.sample_bytes() {
                1 => f32::from(data[y * stride + x]),
                _ => f32::from(u16::from_le_bytes([data[y * stride + 2 * x], data[y * stride + 2 * x + 1]])),
            }
        };
        match info.format {
            PixelFormat::Nv12 => [sample(0, x, y), sample(1, x / 2 * 2, y / 2), sample(1, x / 2 * 2 + 1, y / 2)],
            PixelFormat::I420 | PixelFormat::I420Ten => [sample(0, x, y), sample(1, x / 2, y / 2), sample(2, x / 2, y / 2)],
        }
    }
}

impl Frame for Strided {
    fn info(&self) -> &PictureInfo {
        &self.info
    }

    fn plane(&self, index: usize) -> Plane<'_> {
        Plane { data: &self.planes[index].0, stride_bytes: self.planes[index].1 }
    }
}

impl FrameMut for Strided {
    fn info(&self) -> &PictureInfo {
        &self.info
    }

    fn planes_mut(&mut self) -> Vec<PlaneMut<'_>> {
        self.planes.iter_mut().map(|(data, stride)| PlaneMut { data, stride_bytes: *stride }).collect()
    }
}

fn info(width_px: usize, height_px: usize, format: PixelFormat) -> PictureInfo {
    PictureInfo { width_px, height_px, format, matrix: Matrix::Bt709, full_range: false, pixel_aspect: (1, 1) }
}

const FORMATS: [PixelFormat; 3] = [PixelFormat::I420, PixelFormat::Nv12, PixelFormat::I420Ten];

#[test]
fn blending_samples_is_blending_colours() {
    let mut noise = Noise(1);
    for format in FORMATS {
        for matrix in [Matrix::Bt601, Matrix::Bt709, Matrix::Bt2020] {
            for full_range in [false, true] {
                for (width, height) in [(70, 38), (67, 35)] {
                    let info = PictureInfo { matrix, full_range, ..info(width, height, format) };
                    let frame = Strided::new(info, &mut noise);
                    let mut out = Strided::new(info, &mut noise);
                    // One value, so that luma and chroma have the same level whatever the upsampling.
                    let value = noise.next(1024) as f32 / 1023.0;
                    let heatmap = Heatmap { width: 1, height: 1, values: vec![value] };
                    let settings = Settings { colour_map: ColourMap::ALL[noise.next(6) as usize], floor: 0.0, ..Settings::default() };
                    Overlay::new(settings, &info).expect("settings").draw(&frame, &heatmap, &View::WHOLE, None, &mut out);
                    let opacity = Opacity::of(&settings).at(value);
                    let colour = settings.colour_map.rgb(value);
                    // Half a unit of rounding; the factor's own rounding (2^-16 of a difference of at most 1023) and the
                    // level's (half of 1/32 of a level, steps of which move a sample by less than 4 units of eight bits).
                    let bound = 0.5 + 1023.0 / 65536.0 + 4.0 / 32.0 * (1 << (format.sample_bits() - 8)) as f32;
                    for y in 0..height {
                        for x in 0..width {
                            let rgb = info.rgb_from_samples(frame.at(x, y));
                            let mixed = [0, 1, 2].map(|c| rgb[c] * (1.0 - opacity) + colour[c] * opacity);
                            let wanted = info.samples_from_rgb(mixed);
                            let got = out.at(x, y);
                            assert!(
                                got.iter().zip(wanted).all(|(a, b)| (a - b).abs() <= bound),
                                "{info:?} {value} ({x}, {y}): {got:?} for {wanted:?}"
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn below_the_floor_and_outside_the_view_nothing_changes() {
    let mut noise = Noise(2);
    for format in FORMATS {
        let info = info(101, 53, format);
        let frame = Strided::new(info, &mut noise);
        let mut out = Strided::new(info, &mut noise);
        let mut overlay = Overlay::new(Settings { floor: 0.3, ..Settings::default() }, &info).expect("settings");
        overlay.draw(&frame, &Heatmap { width: 2, height: 2, values: vec![0.29; 4] }, &View::WHOLE, None, &mut out);
        assert!((0..53).all(|y| (0..101).all(|x| out.at(x, y) == frame.at(x, y))), "{format:?}");
        let view = View { x: 0.25, y: 0.0, width: 0.5, height: 1.0 };
        overlay.draw(&frame, &Heatmap { width: 2, height: 2, values: vec![1.0; 4] }, &view, None, &mut out);
        for y in 0..53 {
            for x in 0..101 {
                let inside = (25..76).contains(&x);
                let (got, was) = (out.at(x, y), frame.at(x, y));
                if !(24..77).contains(&x) {
                    assert_eq!(got, was, "{format:?} ({x}, {y})");
                } else if inside {
                    let lost = (got[0] - was[0]).abs();
                    let colour = info.samples_from_rgb(ColourMap::Turbo.rgb(1.0))[0];
                    assert!((lost - 0.6 * (colour - was[0]).abs()).abs() <= 0.6, "{format:?} ({x}, {y}): {got:?} from {was:?}");
                }
            }
        }
    }
}

#[test]
fn side_by_side_has_the_picture_at_the_left_and_the_overlay_at_the_right() {
    let mut noise = Noise(3);
    for format in FORMATS {
        for (width, height) in [(64, 36), (63, 35)] {
            let source = info(width, height, format);
            let frame = Strided::new(source, &mut noise);
            let heatmap = Heatmap { width: 3, height: 3, values: (0..9).map(|i| i as f32 / 8.0).collect() };
            let mut overlay = Overlay::new(Settings { layout: Layout::Side, ..Settings::default() }, &source).expect("settings");
            let mut out = Strided::new(overlay.output_info(), &mut noise);
            assert_eq!((out.info.width_px, out.info.height_px), (128, height));
            overlay.draw(&frame, &heatmap, &View::WHOLE, None, &mut out);
            let mut blended = Strided::new(source, &mut noise);
            Overlay::new(Settings::default(), &source).expect("settings").draw(&frame, &heatmap, &View::WHOLE, None, &mut blended);
            for y in 0..height {
                for x in 0..64 {
                    let inside = x.min(width - 1);
                    assert_eq!(out.at(x, y), frame.at(inside, y), "{format:?} left ({x}, {y})");
                    assert_eq!(out.at(64 + x, y), blended.at(inside, y), "{format:?} right ({x}, {y})");
                }
            }
        }
    }
}

#[test]
fn map_shows_the_colours_alone() {
    let source = info(40, 30, PixelFormat::I420Ten);
    let mut noise = Noise(4);
    let frame = Strided::new(source, &mut noise);
    let mut out = Strided::new(source, &mut noise);
    let settings = Settings { layout: Layout::Map, colour_map: ColourMap::Viridis, ..Settings::default() };
    let heatmap = Heatmap { width: 1, height: 1, values: vec![0.5] };
    let view = View { x: 0.0, y: 0.0, width: 0.5, height: 1.0 };
    Overlay::new(settings, &source).expect("settings").draw(&frame, &heatmap, &view, None, &mut out);
    for (x, value) in [(3, 0.5), (30, 0.0)] {
        let wanted = source.samples_from_rgb(ColourMap::Viridis.rgb(value));
        let got = out.at(x, 7);
        assert!(got.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1.0), "{got:?} for {wanted:?}");
    }
}

#[test]
fn captions_are_white_on_dark_and_leave_the_rest() {
    for format in FORMATS {
        for (width, height) in [(320, 180), (321, 181)] {
            let source = info(width, height, format);
            let frame = Strided::new(source, &mut Noise(5));
            let mut out = Strided::new(source, &mut Noise(6));
            let settings = Settings { caption: true, ..Settings::default() };
            let mut overlay = Overlay::new(settings, &source).expect("settings");
            let heatmap = Heatmap { width: 1, height: 1, values: vec![0.0] };
            let caption = Caption { left: "tabby 83 %".into(), right: "residual 2e-6".into() };
            overlay.draw(&frame, &heatmap, &View::WHOLE, Some(&caption), &mut out);
            let strip = height - 20..height;
            assert!((0..height - 24).all(|y| (0..width).all(|x| out.at(x, y) == frame.at(x, y))), "{format:?}");
            let unit = (1 << (format.sample_bits() - 8)) as f32;
            let luma: Vec<f32> = strip.clone().flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| out.at(x, y)[0] / unit).collect();
            assert!(luma.iter().filter(|&&y| y > 180.0).count() > 150, "{format:?}: too little text");
            // No text: 0.4 of a sample of at most 255 and 0.6 of black.
            assert!(strip.clone().all(|y| (150..190).all(|x| out.at(x, y)[0] / unit <= 112.5)), "{format:?}: too bright a strip");
            let grey = |sample: f32| (sample / unit - 128.0).abs() <= 0.4 * 128.0 + 1.0;
            assert!(
                strip.clone().all(|y| (0..width).all(|x| grey(out.at(x, y)[1]) && grey(out.at(x, y)[2]))),
                "{format:?}: colour is left"
            );
            // Off again: nothing of it stays.
            overlay.draw(&frame, &heatmap, &View::WHOLE, None, &mut out);
            assert!((0..height).all(|y| (0..width).all(|x| out.at(x, y) == frame.at(x, y))), "{format:?}");
        }
    }
}

#[test]
fn settings_out_of_range_and_unknown_layouts_are_refused() {
    let source = info(8, 8, PixelFormat::I420);
    for settings in [Settings { opacity: 1.5, ..Settings::default() }, Settings { floor: f32::NAN, ..Settings::default() }] {
        assert!(Overlay::new(settings, &source).is_err());
    }
    assert!(Overlay::new(Settings::default(), &info(0, 8, PixelFormat::I420)).is_err());
    assert_eq!("side".parse::<Layout>().expect("a layout").to_string(), "side");
    assert!("below".parse::<Layout>().expect_err("unknown").to_string().contains("blend, side, map"));
}

#[test]
fn one_pixel_pictures_are_drawn() {
    for format in FORMATS {
        for layout in Layout::ALL {
            let source = info(1, 1, format);
            let mut overlay = Overlay::new(Settings { layout, caption: true, ..Settings::default() }, &source).expect("settings");
            let mut out = OwnedFrame::zeroed(overlay.output_info());
            let heatmap = Heatmap { width: 7, height: 7, values: vec![0.7; 49] };
            overlay.draw(&OwnedFrame::zeroed(source), &heatmap, &View::WHOLE, Some(&Caption::default()), &mut out);
        }
    }
}
