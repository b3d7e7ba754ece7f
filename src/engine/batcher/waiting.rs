//! Images that wait for a batch, and which of them make the next one. Plain data: who calls says what time it is.

use std::collections::VecDeque;
use std::time::Duration;

/// Images come earlier than their stream's pace by jitter: after this share of it they are expected.
const EARLY: f64 = 0.75;
/// A stream that offered nothing for so long is not waited for.
const ASLEEP: Duration = Duration::from_secs(1);

/// Images of all streams that no batch has taken yet.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    lanes: Vec<Lane<T>>,
    /// The lane whose turn it is to be first.
    first: usize,
    next_key: u64,
}

/// The images of one stream.
#[derive(Debug)]
struct Lane<T> {
    key: u64,
    lossless: bool,
    images: VecDeque<(Duration, T)>,
    last_offer: Option<Duration>,
    /// Between the last two offers.
    gap: Duration,
}

impl<T> Lane<T> {
    /// Whether an image is to be expected before `until`: the stream is awake, and going by its last two images the next one is near.
    fn is_due(&self, now: Duration, until: Duration) -> bool {
        self.last_offer.is_some_and(|last| last + ASLEEP >= now && last + self.gap.mul_f64(EARLY) <= until)
    }
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Waiting { lanes: Vec::new(), first: 0, next_key: 0 }
    }
}

impl<T> Waiting<T> {
    /// A lane for one more stream; gives its key.
    pub fn add(&mut self, lossless: bool) -> u64 {
        let key = self.next_key;
        self.next_key += 1;
        self.lanes.push(Lane { key, lossless, images: VecDeque::new(), last_offer: None, gap: Duration::ZERO });
        key
    }

    /// Forgets a lane and what waits in it.
    pub fn remove(&mut self, key: u64) {
        self.lanes.retain(|lane| lane.key != key);
    }

    /// One more image. Of a live stream only the newest waits: gives the one that makes room. The image itself comes back where the
    /// lane is gone.
    pub fn offer(&mut self, key: u64, image: T, now: Duration) -> Option<T> {
        let Some(lane) = self.lanes.iter_mut().find(|lane| lane.key == key) else { return Some(image) };
        lane.gap = lane.last_offer.map_or(Duration::ZERO, |last| now.saturating_sub(last));
        lane.last_offer = Some(now);
        lane.images.push_back((now, image));
        if !lane.lossless && lane.images.len() > 1 { lane.images.pop_front().map(|(_, image)| image) } else { None }
    }

    /// Images in all lanes.
    pub fn len(&self) -> usize {
        self.lanes.iter().map(|lane| lane.images.len()).sum()
    }

    /// Whether nothing would be gained by waiting: the batch is full, or of every live stream that may have one before the oldest image
    /// has waited for `max_wait` there is an image in it.
    pub fn is_full(&self, max_batch: usize, max_wait: Duration, now: Duration) -> bool {
        let until = self.oldest().unwrap_or(now) + max_wait;
        let room = |lane: &Lane<T>| match (lane.lossless, lane.images.is_empty()) {
            (true, _) if lane.is_due(now, now) => max_batch,
            (_, true) if !lane.is_due(now, until) => 0,
            _ => 1,
        };
        let most: usize = self.lanes.iter().map(room).sum();
        self.len() >= most.clamp(1, max_batch)
    }

    /// When the oldest image came.
    pub fn oldest(&self) -> Option<Duration> {
        self.lanes.iter().filter_map(|lane| lane.images.front().map(|(came, _)| *came)).min()
    }

    /// The next batch: lanes take turns, and each gives one image a round. Another lane is first the next time.
    pub fn take(&mut self, max_batch: usize) -> Vec<T> {
        let mut batch = Vec::new();
        let count = self.lanes.len();
        while batch.len() < max_batch && self.len() > 0 {
            for at in 0..count {
                let lane = &mut self.lanes[(self.first + at) % count];
                if batch.len() < max_batch {
                    batch.extend(lane.images.pop_front().map(|(_, image)| image));
                }
            }
        }
        self.first = if count == 0 { 0 } else { (self.first + 1) % count };
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(10);

    #[test]
    fn of_a_live_stream_the_newest_waits() {
        let mut waiting = Waiting::default();
        let (live, file) = (waiting.add(false), waiting.add(true));
        assert_eq!(waiting.offer(live, "a", NOW), None);
        assert_eq!(waiting.offer(live, "b", NOW), Some("a"));
        assert_eq!((waiting.offer(file, "c", NOW), waiting.offer(file, "d", NOW)), (None, None));
        assert_eq!(waiting.take(8), ["b", "c", "d"]);
        waiting.remove(live);
        assert_eq!(waiting.offer(live, "e", NOW), Some("e"), "a stream that has gone");
    }

    #[test]
    fn a_batch_is_full_when_nobody_else_is_to_come() {
        let mut waiting = Waiting::default();
        let (front, back, dead) = (waiting.add(false), waiting.add(false), waiting.add(false));
        waiting.offer(dead, 0, Duration::ZERO);
        waiting.take(8);
        const WAIT: Duration = Duration::from_millis(20);
        waiting.offer(front, 1, NOW);
        assert!(waiting.is_full(8, WAIT, NOW), "nobody else is awake");
        waiting.take(8);
        waiting.offer(back, 2, NOW);
        assert!(!waiting.is_full(8, WAIT, NOW), "the front is awake and may come");
        assert!(waiting.is_full(1, WAIT, NOW));
        waiting.offer(front, 3, NOW);
        assert!(waiting.is_full(8, WAIT, NOW));
        let file = waiting.add(true);
        waiting.offer(file, 4, NOW);
        assert!(!waiting.is_full(8, WAIT, NOW), "a file can fill a batch");
        assert_eq!(waiting.oldest(), Some(NOW));
    }

    #[test]
    fn a_stream_whose_next_image_is_far_is_not_waited_for() {
        const WAIT: Duration = Duration::from_millis(20);
        let ms = |count: u64| NOW + Duration::from_millis(count);
        let mut waiting = Waiting::default();
        let (fast, slow) = (waiting.add(false), waiting.add(false));
        for time in [0, 200] {
            waiting.offer(slow, time, ms(time));
            waiting.take(8);
        }
        waiting.offer(fast, 240, ms(240));
        assert!(waiting.is_full(8, WAIT, ms(240)), "the next of the slow one comes at 400, or after 350");
        waiting.take(8);
        waiting.offer(fast, 335, ms(335));
        assert!(!waiting.is_full(8, WAIT, ms(335)), "it may be early");
        waiting.offer(slow, 352, ms(352));
        assert!(waiting.is_full(8, WAIT, ms(352)));
    }

    #[test]
    fn a_fast_stream_does_not_starve_a_slow_one() {
        let mut waiting = Waiting::default();
        let (fast, slow) = (waiting.add(true), waiting.add(false));
        for number in 0..100 {
            waiting.offer(fast, ("fast", number), NOW);
        }
        waiting.offer(slow, ("slow", 0), NOW);
        assert_eq!(waiting.take(2), [("fast", 0), ("slow", 0)]);
        waiting.offer(slow, ("slow", 1), NOW);
        assert_eq!(waiting.take(3), [("slow", 1), ("fast", 1), ("fast", 2)], "another is first the next time");
    }

    #[test]
    fn with_more_streams_than_room_each_has_its_turn() {
        let mut waiting = Waiting::default();
        let lanes: Vec<u64> = (0..5).map(|_| waiting.add(false)).collect();
        let mut served = [0; 5];
        for _ in 0..50 {
            for (number, &lane) in lanes.iter().enumerate() {
                waiting.offer(lane, number, NOW);
            }
            waiting.take(2).into_iter().for_each(|number| served[number] += 1);
        }
        assert_eq!(served, [20; 5]);
    }
}
