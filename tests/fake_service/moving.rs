//! Numbers and pictures that move.

use std::io::Cursor;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, bounded};
use gradcast::clock;
use gradcast::overlay::ColourMap;
use gradcast::service::{Latency, Up};
use image::{ImageFormat, Rgb, RgbImage};

use super::{Fake, LABELS};

const PERIOD: Duration = Duration::from_millis(100);

/// Moves for as long as it is kept.
pub struct Moving {
    _stop: Sender<()>,
}

impl Fake {
    /// Ten steps a second from now on.
    pub fn animate(self: &Arc<Self>) -> Moving {
        let (stop, stopped) = bounded(0);
        let fake = Arc::clone(self);
        thread::spawn(move || move_on(&fake, &stopped));
        Moving { _stop: stop }
    }

    /// One step; the step's number makes what is shown.
    pub fn step(&self, step: u64) {
        for (at, stream) in self.streams().iter_mut().enumerate() {
            let phase = step as f64 / 10.0 + at as f64;
            let state = &mut stream.state;
            if state.up != Up::Up {
                continue;
            }
            state.last_frame_unix_seconds = Some(clock::unix_time().as_secs_f64());
            state.decoded_fps = 15.0 + 0.2 * phase.sin();
            state.explained_fps = 12.0 + phase.cos();
            state.latency = Some(Latency { p50: 0.040 + 0.004 * phase.sin(), p99: 0.081 + 0.012 * (phase / 3.0).sin() });
            state.target_label = Some(LABELS[(step as usize / 40 + at) % LABELS.len()].into());
            state.target_probability = Some((0.7 + 0.25 * phase.sin()) as f32);
            state.last_residual = Some((1.2e-7 * (1.5 + phase.sin())) as f32);
            let frames = &mut state.frames;
            match step % 15 {
                0 => frames.held += 1,
                7 if at == 1 => frames.late += 1,
                9 if at == 2 => *frames.dropped.entry("engine_queue".into()).or_default() += 1,
                _ => frames.explained += 1,
            }
            frames.decoded += 1;
            if stream.pictures.receiver_count() > 0 {
                stream.pictures.send_replace(picture(phase, state.look.opacity, &state.look.colour_map));
            }
        }
    }
}

fn move_on(fake: &Fake, stopped: &Receiver<()>) {
    for step in 0.. {
        fake.step(step);
        if !clock::pause(PERIOD, stopped) {
            return;
        }
    }
}

/// A grey scene with a warm spot that goes round.
pub fn picture(phase: f64, opacity: f32, colour_map: &str) -> Bytes {
    const SIZE_PX: (u32, u32) = (320, 180);
    let map: ColourMap = colour_map.parse().unwrap_or_default();
    let centre = (160.0 + 70.0 * (phase / 2.0).cos(), 90.0 + 35.0 * (phase / 2.0).sin());
    let pixels = RgbImage::from_fn(SIZE_PX.0, SIZE_PX.1, |x, y| {
        let ground = 60.0 + 60.0 * f64::from(y) / 180.0 + if (x / 20 + y / 20) % 2 == 0 { 14.0 } else { 0.0 };
        let (dx, dy) = (f64::from(x) - centre.0, f64::from(y) - centre.1);
        let heat = (-(dx * dx + dy * dy) / 1800.0).exp();
        let colour = map.rgb(heat as f32);
        let part = f64::from(opacity) * heat;
        Rgb([0, 1, 2].map(|channel| (ground * (1.0 - part) + 255.0 * f64::from(colour[channel]) * part) as u8))
    });
    let mut jpeg = Cursor::new(Vec::new());
    pixels.write_to(&mut jpeg, ImageFormat::Jpeg).expect("a JPEG in memory");
    Bytes::from(jpeg.into_inner())
}
