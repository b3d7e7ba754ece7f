//! What a 1280x720 frame costs on one core outside the network: blending and preprocessing.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gradcast::frame::{FrameMut, Matrix, OwnedFrame, PictureInfo, PixelFormat};
use gradcast::overlay::{Caption, Heatmap, Layout, Normaliser, Overlay, Settings, View};
use gradcast::saliency::preprocess::{Colour, Fit, Preprocessing};
use std::hint::black_box;
use std::time::Duration;

fn info(format: PixelFormat) -> PictureInfo {
    PictureInfo { width_px: 1280, height_px: 720, format, matrix: Matrix::Bt709, full_range: false, pixel_aspect: (1, 1) }
}

fn frame(format: PixelFormat) -> OwnedFrame {
    let mut frame = OwnedFrame::zeroed(info(format));
    for plane in frame.planes_mut() {
        for (index, word) in plane.data.chunks_mut(2).enumerate() {
            let value = ((index * 2_654_435_761) >> 7) as u16 & if format == PixelFormat::I420Ten { 0x3ff } else { 0xffff };
            word.copy_from_slice(&value.to_le_bytes()[..word.len()]);
        }
    }
    frame
}

/// A bump that is above the default floor over about a third of the picture, or a map above it everywhere.
fn heatmap(everywhere: bool) -> Heatmap {
    let at = |index: usize| {
        let (x, y) = ((index % 224) as f32 / 112.0 - 1.0, (index / 224) as f32 / 112.0 - 1.0);
        if everywhere { 0.6 + 0.3 * (x * 9.0).sin() * (y * 7.0).sin() } else { (-4.0 * (x * x + y * y)).exp() }
    };
    Heatmap { width: 224, height: 224, values: (0..224 * 224).map(at).collect() }
}

fn overlay(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("overlay_720p");
    group.throughput(Throughput::Elements(1));
    for (name, format, everywhere, layout, captioned) in [
        ("i420", PixelFormat::I420, false, Layout::Blend, false),
        ("i420_everywhere", PixelFormat::I420, true, Layout::Blend, false),
        ("i420_caption", PixelFormat::I420, false, Layout::Blend, true),
        ("i420_side", PixelFormat::I420, false, Layout::Side, false),
        ("nv12_everywhere", PixelFormat::Nv12, true, Layout::Blend, false),
        ("i420_ten_everywhere", PixelFormat::I420Ten, true, Layout::Blend, false),
    ] {
        let settings = Settings { layout, caption: captioned, ..Settings::default() };
        let mut overlay = Overlay::new(settings, &info(format)).expect("settings");
        let (frame, heatmap) = (frame(format), heatmap(everywhere));
        let mut out = OwnedFrame::zeroed(overlay.output_info());
        let mut caption = Caption { left: "golden retriever 87.3 %".into(), right: String::new() };
        let mut count = 0u32;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                // The residual differs from frame to frame.
                count += 1;
                caption.right = format!("residual {count}");
                overlay.draw(black_box(&frame), &heatmap, &View::WHOLE, captioned.then_some(&caption), &mut out);
            });
        });
    }
    group.finish();
}

fn preprocess(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("preprocess_720p_to_224");
    group.throughput(Throughput::Elements(1));
    let network = Preprocessing {
        width: 224,
        height: 224,
        colour: Colour::Rgb,
        mean: vec![0.485, 0.456, 0.406],
        std: vec![0.229, 0.224, 0.225],
        scale: 1.0,
        fit: Fit::Stretch,
        pad: 0.5,
    };
    let mut out = vec![0.0; network.len()];
    for (name, format) in [("i420", PixelFormat::I420), ("nv12", PixelFormat::Nv12), ("i420_ten", PixelFormat::I420Ten)] {
        let frame = frame(format);
        group.bench_function(name, |bencher| bencher.iter(|| network.frame(black_box(&frame), &mut out)));
    }
    group.finish();
}

fn normalise(criterion: &mut Criterion) {
    let map: Vec<f32> = heatmap(true).values;
    let mut normaliser = Normaliser::new(Duration::from_millis(300));
    let mut pts = Duration::ZERO;
    criterion.bench_function("normalise_224", |bencher| {
        bencher.iter(|| {
            pts += Duration::from_millis(40);
            normaliser.apply(black_box(&map), 224, 224, pts)
        });
    });
}

criterion_group!(benches, overlay, preprocess, normalise);
criterion_main!(benches);
