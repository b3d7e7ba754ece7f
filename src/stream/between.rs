//! What frames between two explained ones show.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::FrameAnswer;
use crate::video::DecodedFrame;

/// What frames between two explained ones show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Between {
    /// The last explained frame's map.
    #[default]
    Hold,
    /// A map between those of the explained frames before and after, by time.
    Interpolate,
}

impl Between {
    /// Frames between two explained ones wait for the second where the map is interpolated: as many as memory should hold.
    pub const MOST_INTERPOLATED: usize = 32;
}

/// A frame with what it shows.
pub(super) struct Shown {
    /// The frame.
    pub frame: DecodedFrame,
    /// The explained frame's answer that it shows or starts from.
    pub answer: Arc<FrameAnswer>,
    /// The map it shows, row-major.
    pub map: Arc<Vec<f32>>,
    /// True where the answer is the frame's own.
    pub explained: bool,
}

/// Gives every frame a map, in order; with [`Between::Interpolate`] frames wait for the next explained one.
pub(super) struct Filler {
    between: Between,
    last: Option<(Duration, Arc<FrameAnswer>, Arc<Vec<f32>>)>,
    waiting: Vec<DecodedFrame>,
}

impl Filler {
    pub fn new(between: Between) -> Self {
        Filler { between, last: None, waiting: Vec::new() }
    }

    /// Takes the next frame, with its answer where it was explained; gives what can be shown now.
    pub fn take(&mut self, frame: DecodedFrame, answer: Option<FrameAnswer>) -> Vec<Shown> {
        let Some(mut answer) = answer else {
            self.waiting.push(frame);
            return if self.between == Between::Hold { self.finish() } else { Vec::new() };
        };
        let map = Arc::new(std::mem::take(&mut answer.map));
        let answer = Arc::new(answer);
        let mut shown = self.interpolated(frame.pts, &map);
        self.last = Some((frame.pts, answer.clone(), map.clone()));
        shown.push(Shown { frame, answer, map, explained: true });
        shown
    }

    /// What still waits, with the last map: nothing comes after it.
    pub fn finish(&mut self) -> Vec<Shown> {
        let Some((_, answer, map)) = &self.last else {
            // The first frame of a stream is always explained.
            return Vec::new();
        };
        let waiting = self.waiting.drain(..);
        waiting.map(|frame| Shown { frame, answer: answer.clone(), map: map.clone(), explained: false }).collect()
    }

    fn interpolated(&mut self, next_pts: Duration, next: &Arc<Vec<f32>>) -> Vec<Shown> {
        let Some((pts, answer, map)) = &self.last else { return Vec::new() };
        let span = next_pts.saturating_sub(*pts).as_secs_f32();
        let waiting = self.waiting.drain(..);
        waiting
            .map(|frame| {
                let share = if span > 0.0 { (frame.pts.saturating_sub(*pts).as_secs_f32() / span).min(1.0) } else { 0.0 };
                let mixed = map.iter().zip(next.iter()).map(|(a, b)| a + (b - a) * share).collect();
                Shown { frame, answer: answer.clone(), map: Arc::new(mixed), explained: false }
            })
            .collect()
    }
}
