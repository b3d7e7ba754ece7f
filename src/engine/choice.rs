//! Which class of each frame is explained: fixed rules, and the one that looks back in time.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
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
    /// Each image by the choice of its own stream, and its turn there.
    Each(Vec<(Arc<Choice>, u64)>),
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
        Choice::Hold(Hold { span, turns: AtomicU64::new(0), state: Mutex::default(), turn: Condvar::new() })
    }

    /// The turn of the next frame of a stream, for [`Choice::Each`]; to be taken in the order of its frames.
    pub(super) fn turn(&self) -> u64 {
        match self {
            Choice::Hold(hold) => hold.turns.fetch_add(1, Ordering::SeqCst),
            Choice::Fixed(_) | Choice::Each(_) => 0,
        }
    }

    /// The choice for some of the images.
    pub(super) fn part(self: &Arc<Self>, images: Range<usize>) -> Arc<Self> {
        match &**self {
            Choice::Fixed(target) => Arc::new(Choice::Fixed(target.part(images))),
            Choice::Each(choices) => Arc::new(Choice::Each(choices[images].to_vec())),
            Choice::Hold(_) => self.clone(),
        }
    }

    /// The rule that chooses for an image of the batch; `None` where it is that of a hold.
    pub(super) fn rule(&self, image: usize) -> Option<&Target> {
        match self {
            Choice::Fixed(target) => Some(target),
            Choice::Hold(_) => None,
            Choice::Each(choices) => choices[image].0.rule(0),
        }
    }

    /// The targets for part `sequence` of the frames; `times` are their media times. Parts of a [`Choice::Hold`] wait for their turn.
    pub(super) fn choose(&self, head: &Head, sequence: u64, logits: &Tensor, times: &[Duration]) -> Result<Target> {
        match self {
            Choice::Fixed(target) => Ok(head.target(target.clone())),
            Choice::Each(choices) => {
                let of_image = |(image, (choice, turn)): (usize, &(Arc<Choice>, u64))| {
                    choice.choose(head, *turn, &logits.f_narrow(0, image as i64, 1)?, &times[image..=image])
                };
                Ok(Target::Mixed(choices.iter().enumerate().map(of_image).collect::<Result<_>>()?))
            }
            Choice::Hold(hold) => {
                let leaders: Vec<i64> = Vec::try_from(head.target(Target::Argmax).select(logits)?.indices.f_to_device(Device::Cpu)?)?;
                let mut state = hold.wait_for(sequence);
                let chosen = leaders.iter().zip(times).map(|(&leader, &time)| state.follow(leader, time, hold.span)).collect();
                hold.pass_on(state, sequence);
                Ok(head.target(Target::Each(chosen)))
            }
        }
    }

    /// Lets the parts behind go on where this one ended before it chose; does not wait. Nothing where it has chosen.
    pub(super) fn skip(&self, sequence: u64) {
        match self {
            Choice::Fixed(_) => {}
            Choice::Hold(hold) => hold.pass_on(hold.lock(), sequence),
            Choice::Each(choices) => choices.iter().for_each(|(choice, turn)| choice.skip(*turn)),
        }
    }
}

/// See [`Choice::Hold`].
#[derive(Debug)]
pub struct Hold {
    span: Duration,
    /// Taken so far.
    turns: AtomicU64,
    state: Mutex<State>,
    turn: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The part whose turn it is.
    next: u64,
    /// Parts behind it that will not choose.
    skipped: BTreeSet<u64>,
    held: Option<i64>,
    /// Another class that leads, and since when.
    challenger: Option<(i64, Duration)>,
}

impl Hold {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of the lock panics")
    }

    fn wait_for(&self, sequence: u64) -> MutexGuard<'_, State> {
        let state = self.lock();
        self.turn.wait_while(state, |state| state.next < sequence).expect("no holder of the lock panics")
    }

    fn pass_on(&self, mut state: MutexGuard<'_, State>, sequence: u64) {
        if sequence < state.next {
            return;
        }
        state.skipped.insert(sequence);
        while state.skipped.first() == Some(&state.next) {
            state.skipped.pop_first();
            state.next += 1;
        }
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
            // It does not wait for the one before it.
            failed.join().expect("no panic");
            let first = choice.choose(&head, 0, &logits(1), &[Duration::ZERO]);
            assert_eq!(first.expect("chosen"), Target::Each(vec![1]));
            choice.skip(0);
            assert_eq!(late.join().expect("no panic").expect("chosen"), Target::Each(vec![1]));
        });
    }

    #[test]
    fn streams_in_one_batch_keep_their_own_classes() {
        let (front, back) = (Arc::new(Choice::hold(Duration::from_secs(10))), Arc::new(Choice::Fixed(Target::Index(2))));
        let head = Head::default();
        let logits = |classes: &[i64]| {
            let rows: Vec<Tensor> =
                classes.iter().map(|&class| Tensor::from_slice(&[0f32; 4]).index_fill(0, &Tensor::from_slice(&[class]), 1.0)).collect();
            Tensor::stack(&rows, 0)
        };
        let times = [Duration::ZERO; 2];
        let each = |leading: [i64; 2]| {
            let choice = Arc::new(Choice::Each(vec![(front.clone(), front.turn()), (back.clone(), back.turn())]));
            assert_eq!((choice.rule(0), choice.rule(1)), (None, Some(&Target::Index(2))));
            choice.choose(&head, 7, &logits(&leading), &times).expect("chosen")
        };
        assert_eq!(each([1, 3]), Target::Mixed(vec![Target::Each(vec![1]), Target::Index(2)]));
        let lost = Choice::Each(vec![(front.clone(), front.turn())]);
        lost.skip(0);
        assert_eq!(each([3, 3]), Target::Mixed(vec![Target::Each(vec![1]), Target::Index(2)]), "the lost frame holds nobody up");
    }
}
