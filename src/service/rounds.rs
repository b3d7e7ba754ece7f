//! What is done once a second: rates are taken, memory is measured, and systemd hears how it goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::Receiver;

use super::notify::{Notifier, Pulse, Verdict, Watchdog, status_line};
use super::supervisor::Supervisor;
use crate::clock::{Clock, pause};
use crate::engine::{Devices, memory};
use crate::process;
use crate::stream::live::Queue;
use crate::telemetry::Gauge;

/// Between two rounds.
const ROUND: Duration = Duration::from_secs(1);
/// Where systemd does not wait for pings: how long a part may have work and do nothing before the process counts as sick.
const USUAL_INTERVAL: Duration = Duration::from_secs(60);

/// Goes its rounds until told to stop.
pub(super) struct Rounds {
    supervisor: Arc<Supervisor>,
    clock: Clock,
    notifier: Notifier,
    interval: Option<Duration>,
    watchdog: Watchdog,
    /// Counted by a task of tokio: one that runs no task any more stands still.
    beats: Arc<AtomicU64>,
    memory: Memory,
}

struct Memory {
    devices: Devices,
    resident: Gauge,
    tensors: Gauge,
}

impl Rounds {
    pub fn new(supervisor: &Arc<Supervisor>, clock: &Clock, notifier: Notifier, beats: &Arc<AtomicU64>, devices: Devices) -> Self {
        let interval = notifier.watchdog();
        let gauges = &supervisor.meters.memory;
        let device = match &devices {
            Devices::Cpu => "cpu",
            Devices::Cuda(_) => "cuda",
        };
        let memory = Memory { resident: gauges.with(&["cpu", "resident"]), tensors: gauges.with(&[device, "tensors"]), devices };
        Rounds {
            supervisor: Arc::clone(supervisor),
            clock: clock.clone(),
            notifier,
            interval,
            watchdog: Watchdog::for_interval(interval.unwrap_or(USUAL_INTERVAL)),
            beats: Arc::clone(beats),
            memory,
        }
    }

    pub fn go(mut self, stop: &Receiver<()>) {
        let round = self.interval.map_or(ROUND, |interval| ROUND.min(interval / 4));
        self.round();
        while pause(round, stop) {
            self.round();
        }
    }

    fn round(&mut self) {
        let now = self.clock.now();
        self.memory.measure();
        let members = self.supervisor.members();
        let (engine, busy) = self.supervisor.parts.batcher.pulse();
        let beats = self.beats.load(Ordering::SeqCst);
        let mut pulses = vec![
            Pulse { name: "engine".to_owned(), progress: engine, waiting: busy && self.supervisor.parts.batcher.is_turning() },
            Pulse { name: "tokio".to_owned(), progress: beats, waiting: true },
        ];
        let mut waiting = [0; 3];
        let (mut up, mut decoded_fps, mut explained_fps) = (0, 0.0, 0.0);
        for member in &members {
            member.sample(now);
            let (decoded, explained) = member.rates();
            decoded_fps += decoded;
            explained_fps += explained;
            up += usize::from(member.is_up());
            waiting.iter_mut().zip(member.waiting()).for_each(|(sum, own)| *sum += own);
            // Its loop turns twice a second at least, whatever its camera does.
            if let Some(turns) = member.turns() {
                pulses.push(Pulse { name: format!("stream {}", member.name), progress: turns, waiting: true });
            }
        }
        for (queue, count) in Queue::ALL.iter().zip(waiting) {
            self.supervisor.meters.queues.with(&[queue.name()]).set(count as f64);
        }
        let verdict = self.watchdog.judge(now, &pulses);
        let alive = verdict == Verdict::Alive;
        self.supervisor.alive.store(alive, Ordering::SeqCst);
        match verdict {
            Verdict::Alive => self.notifier.ping(),
            Verdict::Stuck(parts) => parts.iter().for_each(|(part, span)| {
                tracing::error!(part, seconds = span.as_secs(), "it has work and does nothing; without a change the process is ended");
            }),
        }
        self.notifier.status(&status_line(up, members.len(), decoded_fps, explained_fps));
    }
}

impl Memory {
    fn measure(&self) {
        self.resident.set(process::rss_bytes() as f64);
        if let Ok(usage) = memory::usage(&self.devices, false) {
            self.tensors.set(usage.in_use_bytes as f64);
        }
    }
}
