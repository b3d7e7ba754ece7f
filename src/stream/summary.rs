//! What a run gives at its end.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::{Counts, FrameAnswer};
use crate::saliency::Timing;

/// Time of each stage. Stages run side by side, so they add up to more than the run took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StageSeconds {
    /// Waiting for decoded frames.
    pub decode: Duration,
    /// Making the network's view of a frame.
    pub preprocess: Duration,
    /// Forward passes, over all workers.
    pub forward: Duration,
    /// Adjoint passes, terms and maps, over all workers.
    pub adjoint: Duration,
    /// Normalising and blending.
    pub overlay: Duration,
    /// Waiting for the encoder.
    pub encode: Duration,
}

/// A class and the frames that it led.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassShare {
    /// Index in the output.
    pub index: usize,
    /// Explained frames in which it was the most probable.
    pub frames: u64,
    /// Its mean probability in them.
    pub probability: f64,
}

/// Quantiles of the completeness residual over explained frames; `None` without any.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Residuals {
    /// Half are at or below.
    pub p50: f32,
    /// 99 of 100 are at or below.
    pub p99: f32,
    /// The largest; NaN where one is.
    pub max: f32,
}

/// What became of the frames.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Frames decoded.
    pub frames_in: u64,
    /// Frames encoded.
    pub frames_out: u64,
    /// Frames explained.
    pub frames_explained: u64,
    /// Explained frames whose numbers have a fault.
    pub numeric_faults: u64,
    /// Frames that the input holds and that could not be decoded, or came out broken.
    pub frames_lost: u64,
    /// The decoder's last complaint.
    pub last_complaint: Option<String>,
    /// Wall time.
    pub elapsed: Duration,
    /// End of the last frame in media time.
    pub media_time: Duration,
    /// See [`StageSeconds`].
    pub stages: StageSeconds,
    /// Signal that ended the run early; 0 without one.
    pub stopped_by: usize,
    /// Size of the output file.
    pub bytes: u64,
    /// What the engine's workers came upon.
    pub engine: Counts,
    classes: BTreeMap<usize, (u64, f64)>,
    residuals: Vec<f32>,
}

impl Summary {
    /// Counts an explained frame.
    pub(super) fn explained(&mut self, answer: &FrameAnswer) {
        self.frames_explained += 1;
        self.numeric_faults += u64::from(answer.fault.is_some());
        self.residuals.push(answer.residual);
        if let Some(class) = answer.leading.first() {
            let (frames, probability) = self.classes.entry(class.index).or_default();
            *frames += 1;
            *probability += f64::from(class.probability);
        }
    }

    /// Adds a batch's passes.
    pub(super) fn computed(&mut self, timing: Timing) {
        self.stages.forward += timing.forward;
        self.stages.adjoint += timing.adjoint;
    }

    /// Frames a second of wall time.
    pub fn fps(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { self.frames_out as f64 / seconds } else { 0.0 }
    }

    /// The classes that led most frames, at most `count` of them.
    pub fn top_classes(&self, count: usize) -> Vec<ClassShare> {
        let mut classes: Vec<ClassShare> =
            self.classes.iter().map(|(&index, &(frames, sum))| ClassShare { index, frames, probability: sum / frames as f64 }).collect();
        classes.sort_by(|a, b| b.frames.cmp(&a.frames).then(b.probability.total_cmp(&a.probability)));
        classes.truncate(count);
        classes
    }

    /// Quantiles of the residuals.
    pub fn residuals(&self) -> Option<Residuals> {
        let mut sorted = self.residuals.clone();
        sorted.sort_by(f32::total_cmp);
        let at = |share: f64| sorted.get(((sorted.len() as f64 * share).ceil() as usize).saturating_sub(1)).copied();
        Some(Residuals { p50: at(0.5)?, p99: at(0.99)?, max: at(1.0)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Class, Explained, Fault, Subject};

    fn answer(index: usize, residual: f32) -> FrameAnswer {
        let class = Class { index, probability: 0.5 };
        FrameAnswer {
            map: Vec::new(),
            width: 0,
            height: 0,
            leading: vec![class],
            target: Explained { subject: Subject::Class, index: index as i64, probability: 0.5 },
            value: 0.0,
            terms: Vec::new(),
            residual,
            fault: residual.is_nan().then_some(Fault::Nan),
        }
    }

    #[test]
    fn quantiles_and_leaders() {
        let mut summary = Summary::default();
        assert_eq!(summary.residuals(), None);
        for frame in 1..=100 {
            summary.explained(&answer(if frame % 3 == 0 { 5 } else { 2 }, frame as f32));
        }
        assert_eq!(summary.residuals(), Some(Residuals { p50: 50.0, p99: 99.0, max: 100.0 }));
        let leaders: Vec<(usize, u64)> = summary.top_classes(1).iter().map(|class| (class.index, class.frames)).collect();
        assert_eq!(leaders, [(2, 67)]);
        summary.explained(&answer(2, f32::NAN));
        assert!(summary.residuals().expect("some").max.is_nan());
        assert_eq!(summary.numeric_faults, 1);
    }
}
