//! Frames in order, each waiting for its explanation as long as it may. Plain data: who calls says what time it is.

use std::collections::VecDeque;
use std::time::Duration;

use crate::engine::FrameAnswer;

/// Frames on their way to the encoder.
#[derive(Debug)]
pub(super) struct Line<F> {
    entries: VecDeque<Entry<F>>,
    /// How long a frame waits; `None`: for ever.
    deadline: Option<Duration>,
    next_id: u64,
}

#[derive(Debug)]
struct Entry<F> {
    id: u64,
    frame: F,
    decoded: Duration,
    fate: Option<Fate>,
}

/// What becomes of a frame.
#[derive(Debug, PartialEq)]
pub(super) enum Fate {
    /// It is shown with its own explanation.
    Explained(Box<FrameAnswer>),
    /// It is shown with the last one, as it was to be.
    Held,
    /// It is shown with the last one, since its own did not come in time.
    Late,
}

impl<F> Line<F> {
    pub fn new(deadline: Option<Duration>) -> Self {
        Line { entries: VecDeque::new(), deadline, next_id: 0 }
    }

    /// Frames that wait.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// How long a frame waits, from now on.
    pub fn set_deadline(&mut self, deadline: Option<Duration>) {
        self.deadline = deadline;
    }

    /// One more frame, decoded at `decoded`; gives the number that its answer will carry.
    pub fn push(&mut self, frame: F, decoded: Duration, to_be_explained: bool) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let fate = if to_be_explained { None } else { Some(Fate::Held) };
        self.entries.push_back(Entry { id, frame, decoded, fate });
        id
    }

    /// The oldest frame, whatever it waits for.
    pub fn pop_oldest(&mut self) -> Option<F> {
        self.entries.pop_front().map(|entry| entry.frame)
    }

    /// What a frame waited for is there, or (`None`) will not come. The answer comes back where its frame has gone already.
    pub fn settle(&mut self, id: u64, answer: Option<FrameAnswer>) -> Option<FrameAnswer> {
        match self.entries.iter_mut().find(|entry| entry.id == id) {
            Some(entry) => {
                entry.fate = Some(answer.map_or(Fate::Late, |answer| Fate::Explained(Box::new(answer))));
                None
            }
            None => answer,
        }
    }

    /// The oldest frame with its number, if its fate is known or it has waited long enough.
    pub fn next(&mut self, now: Duration) -> Option<(u64, F, Fate)> {
        let first = self.entries.front()?;
        if first.fate.is_none() && self.deadline.is_none_or(|deadline| now < first.decoded + deadline) {
            return None;
        }
        let entry = self.entries.pop_front().expect("there is a first");
        Some((entry.id, entry.frame, entry.fate.unwrap_or(Fate::Late)))
    }

    /// When [`Line::next`] has something to give at the latest.
    pub fn wake(&self) -> Option<Duration> {
        let first = self.entries.front()?;
        if first.fate.is_some() { Some(Duration::ZERO) } else { self.deadline.map(|deadline| first.decoded + deadline) }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::engine::{Explained, Subject};

    pub fn answer(value: f32) -> FrameAnswer {
        FrameAnswer {
            map: vec![0.0, 1.0],
            width: 2,
            height: 1,
            leading: Vec::new(),
            target: Explained { subject: Subject::Class, index: 0, probability: 0.5 },
            value,
            terms: Vec::new(),
            residual: 0.0,
            fault: None,
        }
    }

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    fn explained(next: Option<(u64, &str, Fate)>) -> (u64, String, f32) {
        match next {
            Some((id, frame, Fate::Explained(answer))) => (id, frame.to_owned(), answer.value),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn frames_keep_their_order_whatever_the_order_of_answers() {
        let mut line = Line::new(Some(ms(100)));
        let first = line.push("a", ms(0), true);
        let second = line.push("b", ms(30), false);
        let third = line.push("c", ms(60), true);
        assert_eq!(line.settle(third, Some(answer(3.0))), None);
        assert_eq!((line.next(ms(70)), line.wake()), (None, Some(ms(100))));
        line.settle(first, Some(answer(1.0)));
        assert_eq!(line.wake(), Some(ms(0)));
        assert_eq!(explained(line.next(ms(70))), (first, "a".to_owned(), 1.0));
        assert_eq!(line.next(ms(70)), Some((second, "b", Fate::Held)));
        assert_eq!(explained(line.next(ms(70))), (third, "c".to_owned(), 3.0));
        assert!(first < second && second < third);
        assert_eq!((line.next(ms(70)), line.len()), (None, 0));
    }

    #[test]
    fn a_frame_waits_no_longer_than_its_deadline_and_a_late_answer_is_handed_back() {
        let mut line = Line::new(Some(ms(100)));
        let first = line.push("a", ms(0), true);
        let second = line.push("b", ms(40), true);
        assert_eq!(line.next(ms(99)), None);
        assert_eq!(line.next(ms(100)), Some((first, "a", Fate::Late)));
        assert_eq!(line.settle(first, Some(answer(1.0))).map(|answer| answer.value), Some(1.0));
        line.settle(second, None);
        assert_eq!(line.next(ms(101)), Some((second, "b", Fate::Late)), "it gave way to another");
    }

    #[test]
    fn without_a_deadline_a_frame_waits_for_ever() {
        let mut line = Line::new(None);
        let id = line.push("a", ms(0), true);
        assert_eq!((line.next(ms(1_000_000)), line.wake()), (None, None));
        line.settle(id, Some(answer(1.0)));
        assert_eq!(explained(line.next(ms(0))).2, 1.0);
    }
}
