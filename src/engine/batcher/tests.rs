//! Batches over streams, with a "network" whose answer is an image's first pixel.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::engine::Choice;
use crate::engine::worker::tests::{World, metered};
use crate::saliency::Target;
use crate::telemetry::Registry;

const MINUTE: Duration = Duration::from_secs(60);

fn batcher(max_batch: usize, max_wait: Duration) -> (Batcher, Arc<World>, Registry) {
    let (world, registry) = (Arc::new(World::default()), Registry::default());
    let meters = Meters::register(&registry);
    let (made, metering) = (Arc::clone(&world), meters.clone());
    let make = move || Ok(metered(&made, 1, &metering));
    let settings = BatchSettings { max_batch, max_wait };
    let batcher = Batcher::start(Box::new(make), settings, &Clock::machine(), &meters).expect("a batcher");
    (batcher, world, registry)
}

fn request(id: u64, pixel: f32, choice: &Arc<Choice>) -> Request {
    Request { id, pixels: vec![pixel, 0.0], time: Duration::ZERO, method: 0, choice: Arc::clone(choice) }
}

fn reply(client: &Client) -> (u64, Result<f32>) {
    let Reply { id, answer } = client.replies().recv_timeout(MINUTE).expect("a reply");
    (id, answer.map(|answer| answer.value))
}

#[test]
fn streams_share_a_batch_and_each_gets_its_own_answer() {
    // No batch leaves before it is full.
    let (batcher, _, registry) = batcher(2, 60 * MINUTE);
    let (front, back) = (batcher.client(false), batcher.client(true));
    let (first, second) = (Arc::new(Choice::Fixed(Target::Index(0))), Arc::new(Choice::Fixed(Target::Index(1))));
    assert_eq!(back.offer(request(70, 5.0, &second)), None);
    assert_eq!(front.offer(request(7, 3.0, &first)), None);
    assert_eq!(reply(&front).1.expect("explained"), 3.0);
    let (id, value) = reply(&back);
    assert_eq!((id, value.expect("explained")), (70, -5.0), "the second score is the negative of the first");
    let text = registry.text();
    assert!(text.contains("gradcast_batch_size_sum 2\n") && text.contains("gradcast_batch_size_count 1\n"), "{text}");
    assert!(text.contains("gradcast_stage_duration_seconds_count{stage=\"forward\"} 1\n"), "{text}");
    assert_eq!(batcher.pulse(), (1, false));
}

#[test]
fn the_oldest_image_of_a_batch_waits_no_longer_than_it_should() {
    let (batcher, _, _) = batcher(8, Duration::from_millis(5));
    let (front, back) = (batcher.client(false), batcher.client(false));
    let choice = Arc::new(Choice::Fixed(Target::Index(0)));
    back.offer(request(1, 1.0, &choice));
    assert_eq!(reply(&back).0, 1);
    // The other is awake and may come, but does not.
    front.offer(request(2, 2.0, &choice));
    assert_eq!(reply(&front).0, 2);
}

#[test]
fn an_engine_that_has_lost_its_workers_is_started_anew() {
    let (batcher, world, registry) = batcher(1, Duration::ZERO);
    let (breaks, whole) = (batcher.client(false), batcher.client(false));
    let choice = Arc::new(Choice::hold(Duration::from_secs(1)));
    let mut id = 0;
    while world.made.load(Ordering::Relaxed) < 5 {
        id += 1;
        breaks.offer(request(id, 666.0, &choice));
        if let Ok(reply) = breaks.replies().recv_timeout(Duration::from_millis(100)) {
            assert!(reply.answer.expect_err("a fault of the device").to_string().contains("illegal memory access"));
        }
    }
    let choice = Arc::new(Choice::Fixed(Target::Index(0)));
    whole.offer(request(1, 4.0, &choice));
    assert_eq!(reply(&whole).1.expect("a new engine"), 4.0);
    assert!(batcher.is_turning());
    let text = registry.text();
    assert!(text.contains("gradcast_worker_restarts_total{reason=\"engine\"} 1\n"), "{text}");
    assert!(!text.contains("gradcast_worker_restarts_total{reason=\"device\"} 0\n"), "{text}");
}

#[test]
fn images_of_a_file_all_come_back_and_ends_do_not_hang() {
    let (batcher, _, _) = batcher(3, Duration::ZERO);
    let file = batcher.client(true);
    let choice = Arc::new(Choice::Fixed(Target::Index(0)));
    let answers = file.replies().clone();
    thread::scope(|scope| {
        scope.spawn(|| (0..50).for_each(|id| assert_eq!(file.offer(request(id, id as f32, &choice)), None)));
        let mut ids: Vec<u64> = (0..50).map(|_| answers.recv_timeout(MINUTE).expect("a reply").id).collect();
        ids.sort_unstable();
        assert_eq!(ids, (0..50).collect::<Vec<_>>());
    });
    drop(batcher);
    file.offer(request(50, 0.0, &choice));
    assert!(file.replies().is_empty());
}
