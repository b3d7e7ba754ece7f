//! Taking frames and events of a source, with generous limits.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use gradcast::clock::Clock;
use gradcast::error::Error;
use gradcast::frame::{Frame, PixelFormat, Plane};
use gradcast::telemetry::Counter;
use gradcast::video::live::{Event, Input, LiveFrame, Shape, Source, SourceCounters, SourceSettings};

/// What a loaded machine may need.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn settings(input: Input) -> SourceSettings {
    SourceSettings { input, formats: vec![PixelFormat::I420, PixelFormat::Nv12], lossless: false, pipelines: None }
}

pub fn lossless(input: Input) -> SourceSettings {
    SourceSettings { lossless: true, ..settings(input) }
}

pub fn counters() -> SourceCounters {
    SourceCounters { decoded: Counter::unregistered(), dropped: Counter::unregistered() }
}

pub fn start(settings: &SourceSettings) -> Source {
    start_with(settings, None)
}

pub fn start_with(settings: &SourceSettings, shape: Option<&Shape>) -> Source {
    Source::start(settings, shape, &Clock::machine(), counters()).unwrap()
}

/// What a test remembers of a frame, whose buffer goes back to the decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    pub pts: Duration,
    pub duration: Duration,
    pub size_px: (usize, usize),
    pub format: PixelFormat,
    /// Sum over luma, weighted by place; frames that differ have another.
    pub print: u64,
}

pub fn see(live: &LiveFrame) -> Seen {
    let info = *live.frame.info();
    assert_eq!(live.shape.picture, info, "a frame is of its shape");
    let plane = live.frame.plane(0);
    let mut print = 0_u64;
    for (y, row) in rows(&plane, info.width_px, info.height_px).enumerate() {
        for (x, &sample) in row.iter().enumerate() {
            print = print.wrapping_mul(31).wrapping_add(u64::from(sample) + (x * y) as u64);
        }
    }
    let frame = &live.frame;
    Seen { pts: frame.pts, duration: frame.duration, size_px: (info.width_px, info.height_px), format: info.format, print }
}

fn rows<'a>(plane: &Plane<'a>, width: usize, height: usize) -> impl Iterator<Item = &'a [u8]> {
    let (data, stride) = (plane.data, plane.stride_bytes);
    (0..height).map(move |y| &data[y * stride..y * stride + width])
}

/// The next frame; an event that ends the source is a failure.
pub fn next(source: &Source) -> LiveFrame {
    crossbeam_channel::select! {
        recv(source.frames()) -> frame => frame.unwrap(),
        recv(source.events()) -> event => match event.unwrap() {
            Event::Changed { .. } => next(source),
            other => panic!("instead of a frame came {other:?}"),
        },
        default(PATIENCE) => panic!("no frame came"),
    }
}

/// So many frames, with times that grow.
pub fn take(source: &Source, count: usize) -> Vec<Seen> {
    let seen: Vec<Seen> = (0..count).map(|_| see(&next(source))).collect();
    grows(&seen);
    seen
}

pub fn grows(seen: &[Seen]) {
    for pair in seen.windows(2) {
        assert!(pair[0].pts < pair[1].pts, "{:?} comes after {:?}", pair[1].pts, pair[0].pts);
    }
}

/// Every frame until the source ends.
pub fn take_all(source: &Source) -> Vec<Seen> {
    let mut seen = Vec::new();
    let ended = loop {
        crossbeam_channel::select! {
            recv(source.frames()) -> frame => seen.push(see(&frame.unwrap())),
            recv(source.events()) -> event => break event.unwrap(),
            default(PATIENCE) => panic!("neither a frame nor the end came after {} frames", seen.len()),
        }
    };
    assert!(matches!(ended, Event::Ended), "{ended:?}");
    seen.extend(source.frames().try_iter().map(|frame| see(&frame)));
    grows(&seen);
    seen
}

/// The next event; frames are thrown away meanwhile.
pub fn event(source: &Source) -> Event {
    loop {
        crossbeam_channel::select! {
            recv(source.frames()) -> frame => drop(frame.unwrap()),
            recv(source.events()) -> event => return event.unwrap(),
            default(PATIENCE) => panic!("no event came"),
        }
    }
}

pub fn failure(source: &Source) -> Error {
    loop {
        match event(source) {
            Event::Failed(error) => return error,
            Event::Changed { .. } => {}
            Event::Ended => panic!("it ended instead of failing"),
        }
    }
}

pub fn media(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("media").join(name)
}

/// A file of ffmpeg's: `arguments` stand between the program's name and the file's.
pub fn ffmpeg(folder: &Path, name: &str, arguments: &str) -> PathBuf {
    let path = folder.join(name);
    let made = Command::new("ffmpeg").args(["-v", "error", "-y"]).args(arguments.split_whitespace()).arg(&path).status().unwrap();
    assert!(made.success(), "ffmpeg makes no {name}");
    path
}

/// Mean colour (red, green, blue) of a small square around a place, given in fractions of the frame.
pub fn colour(live: &LiveFrame, x: f32, y: f32) -> [u8; 3] {
    let info = live.frame.info();
    let half = |px: usize| px.div_ceil(2);
    let (x, y) = ((x * info.width_px as f32) as usize, (y * info.height_px as f32) as usize);
    let sample = |index: usize, x: usize, y: usize| {
        let plane = live.frame.plane(index);
        f32::from(plane.data[y * plane.stride_bytes + x])
    };
    let (x, y) = (x.min(info.width_px - 1), y.min(info.height_px - 1));
    let (cx, cy) = ((x / 2).min(half(info.width_px) - 1), (y / 2).min(half(info.height_px) - 1));
    let chroma = match info.format {
        PixelFormat::Nv12 => [sample(1, 2 * cx, cy), sample(1, 2 * cx + 1, cy)],
        _ => [sample(1, cx, cy), sample(2, cx, cy)],
    };
    info.rgb_from_samples([sample(0, x, y), chroma[0], chroma[1]]).map(|part| (part.clamp(0.0, 1.0) * 255.0).round() as u8)
}

pub fn is_near(colour: [u8; 3], expected: [u8; 3]) -> bool {
    colour.iter().zip(expected).all(|(&a, b)| a.abs_diff(b) <= 12)
}

/// The upper bars of videotestsrc's smpte pattern, in a frame that it fills.
pub fn has_bars(live: &LiveFrame) {
    let bars = [[255, 255, 255], [255, 255, 0], [0, 255, 255], [0, 255, 0], [255, 0, 255], [255, 0, 0], [0, 0, 255]];
    for (number, expected) in bars.into_iter().enumerate() {
        let got = colour(live, (number as f32 + 0.5) / 7.0, 0.3);
        assert!(is_near(got, expected), "bar {number} is {got:?} and should be {expected:?}");
    }
}

/// Writes a frame as a PNG file into the folder that GRADCAST_PICTURES names, for people to look at.
pub fn picture(live: &LiveFrame, name: &str) {
    let Some(folder) = std::env::var_os("GRADCAST_PICTURES") else { return };
    let (width, height) = (live.frame.info().width_px as u32, live.frame.info().height_px as u32);
    let picture = image::RgbImage::from_fn(width, height, |x, y| {
        image::Rgb(colour(live, (x as f32 + 0.5) / width as f32, (y as f32 + 0.5) / height as f32))
    });
    picture.save(Path::new(&folder).join(format!("{name}.png"))).unwrap();
}
