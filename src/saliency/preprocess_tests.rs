use super::*;
use crate::frame::{FrameMut, OwnedFrame, PictureInfo};

fn plain(width: usize, height: usize, fit: Fit) -> Preprocessing {
    Preprocessing { width, height, colour: Colour::Rgb, mean: vec![0.0], std: vec![1.0], scale: 1.0, fit, pad: 0.5 }
}

/// A frame with a smooth colour gradient, its sample at `(x, y)` (fractions) as a colour.
fn gradient(x: f32, y: f32) -> [f32; 3] {
    [0.2 + 0.5 * x, 0.3 + 0.3 * y * x, 0.7 - 0.4 * y]
}

fn frame(info: PictureInfo) -> OwnedFrame {
    let mut frame = OwnedFrame::zeroed(info);
    for (index, plane) in frame.planes_mut().into_iter().enumerate() {
        let (samples, rows) = info.format.plane_size(index, info.width_px, info.height_px);
        for y in 0..rows {
            for x in 0..samples {
                let (column, component) = if info.format == PixelFormat::Nv12 && index == 1 { (x / 2, 1 + x % 2) } else { (x, index) };
                let half = if index == 0 { 1.0 } else { 2.0 };
                let at = |i: usize, extent: usize| (i as f32 + 0.5) * half / extent as f32;
                let value = info.samples_from_rgb(gradient(at(column, info.width_px), at(y, info.height_px)))[component].round() as u16;
                let bytes = info.format.sample_bytes();
                plane.data[y * plane.stride_bytes + x * bytes..][..bytes].copy_from_slice(&value.to_le_bytes()[..bytes]);
            }
        }
    }
    frame
}

/// Each pixel to RGB, with the chroma sample that it lies in.
fn pixels(frame: &OwnedFrame) -> Vec<[f32; 3]> {
    let info = *Frame::info(frame);
    let sample = |index: usize, x: usize, y: usize| {
        let plane = frame.plane(index);
        let bytes = info.format.sample_bytes();
        let at = &plane.data[y * plane.stride_bytes + x * bytes..][..bytes];
        at.iter().rev().fold(0u32, |value, &byte| value << 8 | u32::from(byte)) as f32
    };
    let mut pixels = Vec::new();
    for y in 0..info.height_px {
        for x in 0..info.width_px {
            let (u, v) = match info.format {
                PixelFormat::Nv12 => (sample(1, x / 2 * 2, y / 2), sample(1, x / 2 * 2 + 1, y / 2)),
                PixelFormat::I420 | PixelFormat::I420Ten => (sample(1, x / 2, y / 2), sample(2, x / 2, y / 2)),
            };
            pixels.push(info.rgb_from_samples([sample(0, x, y), u, v]).map(|value| value.clamp(0.0, 1.0)));
        }
    }
    pixels
}

/// Area averages of a part (pixels: left, top, right, bottom) of a picture, by definition.
fn reduced(pixels: &[[f32; 3]], width: usize, [left, top, right, bottom]: [f64; 4], out_width: usize, out_height: usize) -> Vec<[f64; 3]> {
    let height = pixels.len() / width;
    let covered = |cell: usize, from: f64, to: f64| (to.min((cell + 1) as f64) - from.max(cell as f64)).max(0.0);
    let mut out = Vec::new();
    for j in 0..out_height {
        for i in 0..out_width {
            let step = ((right - left) / out_width as f64, (bottom - top) / out_height as f64);
            let (x0, y0) = (left + step.0 * i as f64, top + step.1 * j as f64);
            let mut sum = [0.0; 3];
            for y in 0..height {
                for x in 0..width {
                    let weight = covered(x, x0, x0 + step.0) * covered(y, y0, y0 + step.1) / (step.0 * step.1);
                    for c in 0..3 {
                        sum[c] += weight * f64::from(pixels[y * width + x][c]);
                    }
                }
            }
            out.push(sum);
        }
    }
    out
}

#[test]
fn averaging_planes_is_averaging_colours() {
    for format in [PixelFormat::I420, PixelFormat::Nv12, PixelFormat::I420Ten] {
        for (matrix, full_range) in [(Matrix::Bt601, false), (Matrix::Bt709, true), (Matrix::Bt2020, false)] {
            for (width_px, height_px) in [(64, 48), (61, 47)] {
                let info = PictureInfo { width_px, height_px, format, matrix, full_range, pixel_aspect: (1, 1) };
                let frame = frame(info);
                let pixels = pixels(&frame);
                for fit in [Fit::Stretch, Fit::Crop] {
                    let network = plain(13, 11, fit);
                    let mut out = vec![f32::NAN; network.len()];
                    network.frame(&frame, &mut out);
                    let view = network.view(width_px, height_px, (1, 1));
                    let part = [view.x, view.y, view.x + view.width, view.y + view.height];
                    let scaled = [0, 1, 2, 3].map(|i| f64::from(part[i]) * if i % 2 == 0 { width_px } else { height_px } as f64);
                    for (index, wanted) in reduced(&pixels, width_px, scaled, 13, 11).into_iter().enumerate() {
                        for c in 0..3 {
                            let got = f64::from(out[c * 143 + index]);
                            assert!((got - wanted[c]).abs() < 1.0 / 255.0, "{info:?} {fit}: {index} {c}: {got} for {}", wanted[c]);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn enlarging_is_smooth() {
    let info = PictureInfo {
        width_px: 31,
        height_px: 21,
        format: PixelFormat::I420Ten,
        matrix: Matrix::Bt709,
        full_range: false,
        pixel_aspect: (1, 1),
    };
    let network = plain(96, 80, Fit::Stretch);
    let mut out = vec![f32::NAN; network.len()];
    network.frame(&frame(info), &mut out);
    // Away from the edges, where samples are continued, a gradient stays one.
    for y in 8..72 {
        for x in 8..88 {
            let wanted = gradient((x as f32 + 0.5) / 96.0, (y as f32 + 0.5) / 80.0);
            for c in 0..3 {
                let got = out[(c * 80 + y) * 96 + x];
                assert!((got - wanted[c]).abs() < 1.0 / 255.0, "({x}, {y}) {c}: {got} for {}", wanted[c]);
            }
        }
    }
}

#[test]
fn stills_are_averaged_normalised_and_ordered() {
    let still = Still { width_px: 4, height_px: 2, rgb: (0..24).map(|i| i * 10).collect() };
    let network = Preprocessing {
        mean: vec![1.0, 2.0, 3.0],
        std: vec![0.5, 2.0, 4.0],
        scale: 255.0,
        colour: Colour::Bgr,
        ..plain(2, 1, Fit::Stretch)
    };
    let mut out = vec![0.0; 6];
    network.still(&still, &mut out);
    // Of pixels 0, 1, 4, 5 (red 0, 30, 120, 150) the mean red is 75; two pixels on 135; green and blue are 10 and 20 more.
    let wanted =
        [(95.0 - 1.0) / 0.5, (155.0 - 1.0) / 0.5, (85.0 - 2.0) / 2.0, (145.0 - 2.0) / 2.0, (75.0 - 3.0) / 4.0, (135.0 - 3.0) / 4.0];
    assert!(out.iter().zip(wanted).all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-3), "{out:?} for {wanted:?}");
    let grey = Preprocessing { colour: Colour::Grey, ..plain(1, 1, Fit::Stretch) };
    let mut out = vec![0.0];
    grey.still(&Still { width_px: 1, height_px: 1, rgb: vec![200, 100, 50] }, &mut out);
    assert!((out[0] - (0.299 * 200.0 + 0.587 * 100.0 + 0.114 * 50.0) / 255.0).abs() < 1e-6);
}

#[test]
fn grey_of_a_frame_is_its_luma() {
    let info = PictureInfo {
        width_px: 3,
        height_px: 3,
        format: PixelFormat::Nv12,
        matrix: Matrix::Bt601,
        full_range: false,
        pixel_aspect: (1, 1),
    };
    let mut frame = OwnedFrame::zeroed(info);
    frame.planes_mut()[0].data.fill(16 + 73);
    let mut out = vec![0.0];
    Preprocessing { colour: Colour::Grey, ..plain(1, 1, Fit::Stretch) }.frame(&frame, &mut out);
    assert!((out[0] - 73.0 / 219.0).abs() < 1e-6, "{out:?}");
}

#[test]
fn borders_have_the_pad_value_and_the_view_reaches_beyond_the_picture() {
    let still = Still { width_px: 8, height_px: 4, rgb: vec![255; 96] };
    let network = Preprocessing { mean: vec![0.25], std: vec![0.5], ..plain(8, 8, Fit::Pad) };
    let mut out = vec![f32::NAN; network.len()];
    network.still(&still, &mut out);
    for channel in out.chunks(64) {
        assert!(channel[..16].iter().chain(&channel[48..]).all(|&v| v == 0.5));
        assert!(channel[16..48].iter().all(|&v| (v - 1.5).abs() < 1e-6));
    }
    assert_eq!(network.view(8, 4, (1, 1)), View { x: 0.0, y: -0.5, width: 1.0, height: 2.0 });
    // Pixels twice as high as wide make it square.
    assert_eq!(network.view(8, 4, (1, 2)), View::WHOLE);
}

#[test]
fn crops_are_the_middle_in_displayed_shape() {
    let network = plain(4, 4, Fit::Crop);
    assert_eq!(network.view(16, 8, (1, 1)), View { x: 0.25, y: 0.0, width: 0.5, height: 1.0 });
    assert_eq!(network.view(8, 16, (1, 1)), View { x: 0.0, y: 0.25, width: 1.0, height: 0.5 });
    assert_eq!(network.view(8, 16, (2, 1)), View::WHOLE);
    assert_eq!(network.view(8, 8, (0, 1)), View::WHOLE);
}

#[test]
fn faults_are_found_before_the_first_picture() {
    assert!(plain(8, 8, Fit::Pad).check().is_ok());
    let faults = [
        Preprocessing { width: 0, ..plain(8, 8, Fit::Pad) },
        Preprocessing { mean: vec![0.0; 2], ..plain(8, 8, Fit::Pad) },
        Preprocessing { std: vec![1.0, 0.0, 1.0], ..plain(8, 8, Fit::Pad) },
        Preprocessing { scale: f32::NAN, ..plain(8, 8, Fit::Pad) },
        Preprocessing { pad: 114.0, ..plain(8, 8, Fit::Pad) },
    ];
    for fault in faults {
        assert!(fault.check().is_err(), "{fault:?}");
    }
    assert_eq!("bgr".parse::<Colour>().expect("a colour order"), Colour::Bgr);
    assert!("fill".parse::<Fit>().expect_err("unknown").to_string().contains("stretch, crop, pad"));
}
