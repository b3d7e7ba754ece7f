//! The front half: frames are decoded, their view for the network is made, and groups of them go to the engine while later ones decode.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::Sender;

use crate::clock::Stopwatch;
use crate::engine::{Batch, Choice, Engine, Task, Ticket};
use crate::error::Result;
use crate::saliency::preprocess::Preprocessing;
use crate::video::{DecodedFrame, Losses, Source};

/// Frames held by one group at most, explained or not: bounds memory where few frames are explained.
const GROUP_FRAMES: usize = 16;

/// Frames in order, and the ticket for those that are explained.
pub(super) struct Group {
    /// The frames, and whether each is explained.
    pub frames: Vec<(DecodedFrame, bool)>,
    /// For the explained ones, in order; `None` without any.
    pub ticket: Option<Ticket>,
}

/// What the reader found when it ended.
pub(super) struct Read {
    pub frames: u64,
    pub losses: Losses,
    pub decode: Duration,
    pub preprocess: Duration,
}

pub(super) struct Reader<'a> {
    pub source: Source,
    pub engine: Engine,
    pub preprocessing: &'a Preprocessing,
    pub choice: Arc<Choice>,
    /// Every `every`-th frame is explained.
    pub every: usize,
    /// Explained frames of a group.
    pub batch: usize,
    /// Not zero once the user asked to stop.
    pub stop: &'a AtomicUsize,
}

impl Reader<'_> {
    /// Reads to the end, or until asked to stop, or until nobody takes the groups any more.
    pub fn run(mut self, groups: &Sender<Group>) -> Result<Read> {
        let mut read = Read { frames: 0, losses: Losses::default(), decode: Duration::ZERO, preprocess: Duration::ZERO };
        let mut frames = Vec::new();
        let mut batch = Batch::default();
        while self.stop.load(Ordering::Relaxed) == 0 {
            let watch = Stopwatch::start();
            let next = self.source.next_frame()?;
            read.decode += watch.elapsed();
            let Some(frame) = next else { break };
            let explained = read.frames.is_multiple_of(self.every as u64);
            read.frames += 1;
            if explained {
                let watch = Stopwatch::start();
                let start = batch.pixels.len();
                batch.pixels.resize(start + self.preprocessing.len(), 0.0);
                self.preprocessing.frame(&frame, &mut batch.pixels[start..]);
                batch.times.push(frame.pts);
                read.preprocess += watch.elapsed();
            }
            frames.push((frame, explained));
            if batch.times.len() >= self.batch || frames.len() >= GROUP_FRAMES.max(self.batch) {
                let group = self.group(&mut frames, &mut batch)?;
                if groups.send(group).is_err() {
                    break;
                }
            }
        }
        if !frames.is_empty() {
            let group = self.group(&mut frames, &mut batch)?;
            let _ = groups.send(group);
        }
        read.losses = self.source.losses();
        Ok(read)
    }

    fn group(&mut self, frames: &mut Vec<(DecodedFrame, bool)>, batch: &mut Batch) -> Result<Group> {
        let ticket = if batch.times.is_empty() { None } else { Some(self.engine.submit(Task::Explain, batch, &self.choice)?) };
        batch.pixels.clear();
        batch.times.clear();
        Ok(Group { frames: std::mem::take(frames), ticket })
    }
}
