//! Which class of each frame is explained: fixed rules, and the one that looks back in time.

use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use tch::{Device, Tensor};

use crate::error::Result;
use crate::saliency::{Head, Target};

/// How targets are chosen when the output is known: by rules for classes, whatever the output's form.
#[derive(Debug)]
pub enum Choice {
    /// The same rule for every frame.
    Fixed(Target),
    /// The class that leads, kept until another has led for so long in media time.
    Hold(Hold),
}

/// How targets are chosen, without the memory that following it takes: what is asked of one stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// See [`Choice::Fixed`].
    Fixed(Target),
    /// See [`Choice::Hold`].
    Hold(Duration),
}

impl Rule {
    /// A choice that has seen nothing yet.
    pub fn choice(&self) -> Choice {
        match self {
            Rule::Fixed(target) => Choice::Fixed(target.clone()),
            Rule::Hold(span) => Choice::hold(*span),
        }
    }
}

impl Choice {
    /// Keeps a class until another has led for `span`.
    pub fn hold(span: Duration) -> Self {
        Choice::Hold(Hold { span, state: Mutex::default(), turn: Condvar::new() })
    }

    /// The targets for part `sequence` of the frames; `times` are their media times. Parts of a [`Choice::Hold`] wait for their turn.
    pub(super) fn choose(&self, head: &Head, sequence: u64, logits: &Tensor, times: &[Duration]) -> Result<Target> {
        match self {
            Choice::Fixed(target) => Ok(head.target(target.clone())),
            Choice::Hold(hold) => {
                let leaders: Vec<i64> = Vec::try_from(head.target(Target::Argmax).select(logits)?.indices.f_to_device(Device::Cpu)?)?;
                let mut state = hold.wait_for(sequence);
                let chosen = leaders.iter().zip(times).map(|(&leader, &time)| state.follow(leader, time, hold.span)).collect();
                hold.pass_on(state, sequence);
                Ok(head.target(Target::Each(chosen)))
            }
        }
    }

    /// Lets the next part go on where this one failed before it chose.
    pub(super) fn skip(&self, sequence: u64) {
        if let Choice::Hold(hold) = self {
            let state = hold.wait_for(sequence);
            if state.next == sequence {
                hold.pass_on(state, sequence);
            }
        }
    }
}

/// See [`Choice::Hold`].
#[derive(Debug)]
pub struct Hold {
    span: Duration,
    state: Mutex<State>,
    turn: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The part whose turn it is.
    next: u64,
    held: Option<i64>,
    /// Another class that leads, and since when.
    challenger: Option<(i64, Duration)>,
}

impl Hold {
    fn wait_for(&self, sequence: u64) -> MutexGuard<'_, State> {
        let state = self.state.lock().expect("no holder of the lock panics");
        self.turn.wait_while(state, |state| state.next < sequence).expect("no holder of the lock panics")
    }

    fn pass_on(&self, mut state: MutexGuard<'_, State>, sequence: u64) {
        state.next = sequence + 1;
        drop(state);
        self.turn.notify_all();
    }
}

impl State {
    fn follow(&mut self, leader: i64, time: Duration, span: Duration) -> i64 {
        let held = *self.held.get_or_insert(leader);
        if leader == held {
            self.challenger = None;
            return held;
        }
        let since = match self.challenger {
            Some((challenger, since)) if challenger == leader => since,
            _ => time,
        };
        if time.saturating_sub(since) >= span {
            self.held = Some(leader);
            self.challenger = None;
            return leader;
        }
        self.challenger = Some((leader, since));
        held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_kept_until_another_has_led_for_long_enough() {
        let mut state = State::default();
        let leaders = [7, 7, 3, 7, 3, 3, 3, 3, 5, 3];
        let span = Duration::from_millis(200);
        let held: Vec<i64> =
            leaders.iter().enumerate().map(|(i, &leader)| state.follow(leader, Duration::from_millis(100 * i as u64), span)).collect();
        assert_eq!(held, [7, 7, 7, 7, 7, 7, 3, 3, 3, 3]);
    }

    #[test]
    fn parts_take_their_turn_whatever_their_order() {
        let choice = Choice::hold(Duration::from_secs(10));
        let head = Head::default();
        let logits =
            |class: i64| Tensor::zeros([1, 4], (tch::Kind::Float, tch::Device::Cpu)).index_fill(1, &Tensor::from_slice(&[class]), 1.0);
        std::thread::scope(|scope| {
            let late = scope.spawn(|| choice.choose(&head, 2, &logits(3), &[Duration::from_millis(2)]));
            let failed = scope.spawn(|| choice.skip(1));
            let first = choice.choose(&head, 0, &logits(1), &[Duration::ZERO]);
            assert_eq!(first.expect("chosen"), Target::Each(vec![1]));
            failed.join().expect("no panic");
            assert_eq!(late.join().expect("no panic").expect("chosen"), Target::Each(vec![1]));
        });
    }
}
