//! Numeric faults on standard error: a line at most once a second, however many frames have one.

use std::time::Duration;

use crate::clock::Stopwatch;
use crate::engine::Fault;

/// Lines are at least so far apart.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// Decides when a line is written.
#[derive(Debug, Default)]
pub struct Complaints {
    /// Since the last line.
    watch: Option<Stopwatch>,
    /// Faults since then.
    untold: u64,
}

impl Complaints {
    /// The line for a fault of `what`; `None` where the last one is less than a second ago.
    pub fn line(&mut self, what: &str, fault: Fault, residual: f32) -> Option<String> {
        if self.watch.is_some_and(|watch| watch.elapsed() < LINE_EVERY) {
            self.untold += 1;
            return None;
        }
        self.watch = Some(Stopwatch::start());
        let others = match std::mem::take(&mut self.untold) {
            0 => String::new(),
            count => format!("; {count} more since the last such line"),
        };
        let advice = match fault {
            Fault::Nan | Fault::Infinite => "no map is shown; a wider --precision may hold them",
            Fault::Residual => "a wider --precision rounds less, --max-residual moves the bound",
        };
        Some(format!("{what}: numeric fault: {fault} ({residual:.1e}); {advice}{others}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_and_those_that_follow_at_once_are_counted() {
        let mut complaints = Complaints::default();
        let first = complaints.line("frame at 0.040 s", Fault::Nan, f32::NAN).expect("a line");
        assert!(first.starts_with("frame at 0.040 s: numeric fault: its numbers are NaN"), "{first}");
        assert_eq!(complaints.line("another", Fault::Residual, 2.0), None);
        assert_eq!(complaints.untold, 1);
    }
}
