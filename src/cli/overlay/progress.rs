//! How far an overlay is: a bar on a terminal, a line now and then where standard error is a file or a pipe.

use std::io::{IsTerminal, stderr};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::complaints::Complaints;
use crate::clock::Stopwatch;
use crate::engine::Fault;
use crate::stream::Progress;
use crate::video::SourceInfo;

/// Plain lines are at least so far apart.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows progress on standard error.
pub struct Shown {
    form: Form,
    faults: Complaints,
}

enum Form {
    /// A bar that is drawn again and again.
    Bar(ProgressBar),
    /// Lines.
    Lines {
        /// Frames expected, where the input tells.
        expected: Option<u64>,
        /// Since the start.
        watch: Stopwatch,
        /// When the last line was written.
        last: Duration,
    },
}

impl Shown {
    /// Chooses by what standard error is.
    pub fn new() -> Self {
        let form = if stderr().is_terminal() {
            Form::Bar(ProgressBar::no_length())
        } else {
            Form::Lines { expected: None, watch: Stopwatch::start(), last: Duration::ZERO }
        };
        Shown { form, faults: Complaints::default() }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Form::Bar(bar) = &self.form {
            bar.finish_and_clear();
        }
    }
}

fn expected_frames(info: &SourceInfo) -> Option<u64> {
    info.frames_hint.or_else(|| {
        let (numerator, denominator) = info.frame_rate.filter(|rate| rate.0 > 0 && rate.1 > 0)?;
        Some((info.duration?.as_secs_f64() * f64::from(numerator) / f64::from(denominator)).round() as u64)
    })
}

impl Progress for Shown {
    fn opened(&mut self, info: &SourceInfo) {
        match &mut self.form {
            Form::Bar(bar) => {
                let style = match expected_frames(info) {
                    Some(frames) => {
                        bar.set_length(frames);
                        "{bar:32} {pos}/{len} frames, {per_sec}, {eta} to go"
                    }
                    None => "{spinner} {pos} frames, {per_sec}",
                };
                bar.set_style(ProgressStyle::with_template(style).expect("the template is sound"));
            }
            Form::Lines { expected, .. } => *expected = expected_frames(info),
        }
    }

    fn frame(&mut self, frames: u64, pts: Duration) {
        match &mut self.form {
            Form::Bar(bar) => bar.set_position(frames),
            Form::Lines { expected, watch, last } => {
                let now = watch.elapsed();
                if now - *last >= LINE_EVERY {
                    *last = now;
                    let fps = frames as f64 / now.as_secs_f64();
                    let of = expected.map_or_else(String::new, |expected| {
                        format!(" of {expected}, {:.0} s to go", expected.saturating_sub(frames) as f64 / fps)
                    });
                    eprintln!("{frames} frames{of}, at {:.1} s of the video, {fps:.1} frames a second", pts.as_secs_f64());
                }
            }
        }
    }

    fn fault(&mut self, pts: Duration, fault: Fault, residual: f32) {
        let line = self.faults.line(&format!("frame at {:.3} s", pts.as_secs_f64()), fault, residual);
        match (&self.form, line) {
            (Form::Bar(bar), Some(line)) => bar.suspend(|| eprintln!("{line}")),
            (Form::Lines { .. }, Some(line)) => eprintln!("{line}"),
            (_, None) => {}
        }
    }
}
