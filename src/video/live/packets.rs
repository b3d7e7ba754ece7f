//! Encoded frames on their way to one sink, in a queue that is bounded in bytes and in seconds.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes that wait for a sink at most.
const MOST_BYTES: usize = 8 << 20;
/// Time that waits for a sink at most.
const MOST_TIME: Duration = Duration::from_secs(5);
/// How long one wait of a queue that may not lose anything lasts.
const TICK: Duration = Duration::from_millis(200);

/// An encoded frame: an access unit of H.264 with the lengths of its NAL units before them ("avc").
#[derive(Debug, Clone)]
pub(super) struct Packet {
    /// Times are the stream's own; the duration is there where it was known.
    pub buffer: gst::Buffer,
    /// With the codec's data.
    pub caps: gst::Caps,
    /// Decoding can begin here.
    pub key: bool,
    /// The stream's own time.
    pub pts: Duration,
}

/// What comes out of a queue.
#[derive(Debug)]
pub(super) enum Taken {
    Packet(Packet),
    /// Nothing came in time.
    Nothing,
    /// Nothing comes any more.
    End,
}

/// Between the encoder and one sink.
pub(super) struct PacketQueue {
    state: Mutex<State>,
    changed: Condvar,
    /// Who gives waits where the queue is full; otherwise what waits is thrown away.
    lossless: bool,
    /// Told of every packet that the sink does not get.
    lost: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct State {
    packets: VecDeque<Packet>,
    bytes: usize,
    /// Somebody takes.
    open: bool,
    /// What comes before the next key frame cannot be decoded.
    until_key: bool,
    ended: bool,
    abandoned: bool,
    lost: u64,
}

impl State {
    fn is_full(&self, next: &Packet) -> bool {
        let spans = |first: &Packet| next.pts.saturating_sub(first.pts) > MOST_TIME;
        self.bytes + next.buffer.size() > MOST_BYTES && !self.packets.is_empty() || self.packets.front().is_some_and(spans)
    }
}

impl PacketQueue {
    /// An empty one, closed: what a live encoder gives before [`PacketQueue::open`] is lost.
    pub fn new(lossless: bool, lost: impl Fn() + Send + Sync + 'static) -> Self {
        PacketQueue { state: Mutex::default(), changed: Condvar::new(), lossless, lost: Box::new(lost) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lose(&self, state: &mut State, count: usize) {
        state.lost += count as u64;
        for _ in 0..count {
            (self.lost)();
        }
    }

    /// From the encoder. Waits only where nothing may be lost.
    pub fn give(&self, packet: &Packet) {
        let mut state = self.lock();
        if self.lossless {
            while state.is_full(packet) && !state.abandoned {
                state = self.changed.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        if state.abandoned || state.ended || !(state.open || self.lossless) {
            return self.lose(&mut state, 1);
        }
        if state.is_full(packet) {
            let waiting = state.packets.len();
            state.packets.clear();
            state.bytes = 0;
            state.until_key = true;
            self.lose(&mut state, waiting);
        }
        if state.until_key && !packet.key {
            return self.lose(&mut state, 1);
        }
        state.until_key = false;
        state.bytes += packet.buffer.size();
        state.packets.push_back(packet.clone());
        self.changed.notify_all();
    }

    /// A sink takes from here on, beginning at a key frame. True: one has to be asked for.
    pub fn open(&self) -> bool {
        let mut state = self.lock();
        // Where nothing may be lost, what came before the sink still waits, from the stream's first frame on.
        let wants_key = !self.lossless || state.lost > 0;
        state.open = true;
        state.until_key = state.packets.is_empty();
        // What follows frames that are lost.
        while state.packets.front().is_some_and(|packet| !packet.key) {
            self.discard_first(&mut state);
        }
        self.changed.notify_all();
        wants_key && state.packets.is_empty()
    }

    fn discard_first(&self, state: &mut State) {
        if let Some(packet) = state.packets.pop_front() {
            state.bytes -= packet.buffer.size();
            state.until_key = state.packets.is_empty();
            self.lose(state, 1);
        }
    }

    /// Nobody takes until it is opened again. Where nothing may be lost, what waits stays.
    pub fn close(&self) {
        let mut state = self.lock();
        state.open = false;
        if !self.lossless {
            while !state.packets.is_empty() {
                self.discard_first(&mut state);
            }
        }
    }

    /// The next packet.
    pub fn take(&self, limit: Duration) -> Taken {
        let nothing = |state: &mut State| state.packets.is_empty() && !state.ended && !state.abandoned;
        let (mut state, _) = self.changed.wait_timeout_while(self.lock(), limit, nothing).unwrap_or_else(PoisonError::into_inner);
        match state.packets.pop_front() {
            Some(packet) => {
                state.bytes -= packet.buffer.size();
                self.changed.notify_all();
                Taken::Packet(packet)
            }
            None if state.ended || state.abandoned => Taken::End,
            None => Taken::Nothing,
        }
    }

    /// Nothing comes any more; what waits is still there.
    pub fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }

    /// Nothing is taken any more: what waits and what comes is lost.
    pub fn abandon(&self) {
        let mut state = self.lock();
        state.abandoned = true;
        let waiting = state.packets.len();
        state.packets.clear();
        state.bytes = 0;
        self.lose(&mut state, waiting);
        self.changed.notify_all();
    }

    /// A packet that was taken could not be used.
    pub fn lose_taken(&self) {
        let mut state = self.lock();
        self.lose(&mut state, 1);
    }

    /// Whether nothing is given any more.
    pub fn is_over(&self) -> bool {
        let state = self.lock();
        state.ended || state.abandoned
    }

    /// Packets that the sink did not get so far.
    pub fn lost(&self) -> u64 {
        self.lock().lost
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn packet(pts_ms: u64, key: bool, bytes: usize) -> Packet {
        crate::video::init().unwrap();
        let buffer = gst::Buffer::with_size(bytes).unwrap();
        Packet { buffer, caps: gst::Caps::new_empty_simple("video/x-h264"), key, pts: Duration::from_millis(pts_ms) }
    }

    fn queue(lossless: bool) -> (PacketQueue, Arc<AtomicU64>) {
        let lost = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&lost);
        let count = move || {
            counted.fetch_add(1, Ordering::SeqCst);
        };
        (PacketQueue::new(lossless, count), lost)
    }

    fn taken_ms(queue: &PacketQueue) -> Vec<u128> {
        std::iter::from_fn(|| match queue.take(Duration::ZERO) {
            Taken::Packet(packet) => Some(packet.pts.as_millis()),
            Taken::Nothing | Taken::End => None,
        })
        .collect()
    }

    #[test]
    fn a_sink_starts_at_a_key_frame_and_what_it_missed_is_counted() {
        let (queue, lost) = queue(false);
        queue.give(&packet(0, true, 10));
        assert!(queue.open(), "a key frame is wanted");
        queue.give(&packet(40, false, 10));
        queue.give(&packet(80, true, 10));
        queue.give(&packet(120, false, 10));
        assert_eq!(taken_ms(&queue), [80, 120]);
        assert_eq!((lost.load(Ordering::SeqCst), queue.lost()), (2, 2));
        queue.give(&packet(160, false, 10));
        queue.close();
        queue.give(&packet(200, true, 10));
        queue.open();
        queue.give(&packet(240, true, 10));
        assert_eq!(taken_ms(&queue), [240]);
        assert_eq!(queue.lost(), 4);
        queue.end();
        assert!(matches!(queue.take(Duration::from_secs(60)), Taken::End));
    }

    #[test]
    fn a_full_queue_is_emptied_and_goes_on_at_a_key_frame() {
        let (queue, _) = queue(false);
        queue.open();
        for (pts_ms, key) in [(0, true), (3000, false), (5001, false), (5040, false), (5080, true), (5120, false)] {
            queue.give(&packet(pts_ms, key, 10));
        }
        assert_eq!(taken_ms(&queue), [5080, 5120], "five seconds are the bound");
        assert_eq!(queue.lost(), 4);
        for (pts_ms, key) in [(6000, true), (6040, false), (6080, true)] {
            queue.give(&packet(pts_ms, key, MOST_BYTES / 2));
        }
        assert_eq!(taken_ms(&queue), [6080], "and so are bytes");
    }

    #[test]
    fn where_nothing_may_be_lost_the_giver_waits() {
        let (queue, lost) = queue(true);
        queue.give(&packet(0, true, 10));
        std::thread::scope(|scope| {
            let giver = scope.spawn(|| queue.give(&packet(6000, false, 10)));
            queue.open();
            let mut got = Vec::new();
            while got.len() < 2 {
                if let Taken::Packet(packet) = queue.take(Duration::from_secs(60)) {
                    got.push(packet.pts.as_secs());
                }
            }
            giver.join().unwrap();
            assert_eq!(got, [0, 6]);
        });
        queue.give(&packet(7000, false, 10));
        std::thread::scope(|scope| {
            let giver = scope.spawn(|| queue.give(&packet(17000, false, 10)));
            queue.abandon();
            giver.join().unwrap();
        });
        assert!(matches!(queue.take(Duration::ZERO), Taken::End));
        assert_eq!(lost.load(Ordering::SeqCst), 2);
    }
}
