//! What systemd is told, and when it hears that the process still works.

use std::collections::BTreeMap;
use std::time::Duration;

use sd_notify::NotifyState;

/// The service manager, where there is one: without `NOTIFY_SOCKET` nothing is told and nothing fails.
#[derive(Debug, Clone, Copy, Default)]
pub struct Notifier;

impl Notifier {
    /// Everything is loaded and the configuration is in force; also said at the end of a reload, whatever came of it.
    pub fn ready(self) {
        self.tell(&[NotifyState::Ready]);
    }

    /// A reload begins. [`Notifier::ready`] has to follow.
    pub fn reloading(self) {
        // systemd 253 and newer compare this time with that of their signal.
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[NotifyState::Reloading, now]),
            Err(_) => self.tell(&[NotifyState::Reloading]),
        }
    }

    /// The line that `systemctl status` shows.
    pub fn status(self, text: &str) {
        self.tell(&[NotifyState::Status(text)]);
    }

    /// The process ends: streams are drained.
    pub fn stopping(self) {
        self.tell(&[NotifyState::Stopping, NotifyState::Status("draining streams and closing files")]);
    }

    /// Starting or stopping takes so much longer from now on.
    pub fn extend_timeout(self, by: Duration) {
        self.tell(&[NotifyState::ExtendTimeoutUsec(u32::try_from(by.as_micros()).unwrap_or(u32::MAX))]);
    }

    /// The process works. See [`Watchdog`].
    pub fn ping(self) {
        self.tell(&[NotifyState::Watchdog]);
    }

    /// Without a ping for so long the process is ended and started anew; `None`: nobody waits for pings.
    pub fn watchdog(self) -> Option<Duration> {
        sd_notify::watchdog_enabled()
    }

    fn tell(self, states: &[NotifyState<'_>]) {
        if let Err(error) = sd_notify::notify(states) {
            tracing::debug!(%error, "the service manager is not told");
        }
    }
}

/// The line for [`Notifier::status`]: streams with frames, and frames a second of all of them together.
pub fn status_line(up: usize, streams: usize, decoded_fps: f64, explained_fps: f64) -> String {
    format!("{up} of {streams} streams up, {decoded_fps:.1} frames a second, {explained_fps:.1} explained")
}

/// A look at one part of the process that has to move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulse {
    /// `engine`, `tokio`, or `stream NAME`.
    pub name: String,
    /// Grows with everything that is done.
    pub progress: u64,
    /// Whether something is there to be done. A stream whose camera is dead has nothing waiting.
    pub waiting: bool,
}

/// Judges whether the process works: each part has advanced, or has nothing to do.
#[derive(Debug, Clone)]
pub struct Watchdog {
    patience: Duration,
    /// By name: the progress that was seen last, and when it was new or nothing was waiting.
    seen: BTreeMap<String, (u64, Duration)>,
}

/// See [`Watchdog::judge`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A ping is due.
    Alive,
    /// No ping: these have work and have not advanced, each for so long.
    Stuck(Vec<(String, Duration)>),
}

impl Watchdog {
    /// `patience` is how long work may wait without anything being done; zero wants an advance from look to look.
    pub fn new(patience: Duration) -> Self {
        Watchdog { patience, seen: BTreeMap::new() }
    }

    /// For a manager that wants a ping within `interval`: half of it is patience, so that a part that is slow once does not cost the process
    /// its life. Look four times within `interval`.
    pub fn for_interval(interval: Duration) -> Self {
        Watchdog::new(interval / 2)
    }

    /// Compares with the last look. `now` is any monotonic time. A part that is new has just advanced; one that is gone is forgotten, so
    /// that a stream that was removed holds up nothing.
    pub fn judge(&mut self, now: Duration, pulses: &[Pulse]) -> Verdict {
        let mut stuck = Vec::new();
        let mut seen = BTreeMap::new();
        for pulse in pulses {
            let since = match self.seen.get(&pulse.name) {
                Some((progress, since)) if *progress == pulse.progress && pulse.waiting => *since,
                _ => now,
            };
            let still = now.saturating_sub(since);
            if still > self.patience {
                stuck.push((pulse.name.clone(), still));
            }
            seen.insert(pulse.name.clone(), (pulse.progress, since));
        }
        self.seen = seen;
        if stuck.is_empty() { Verdict::Alive } else { Verdict::Stuck(stuck) }
    }
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::os::unix::net::UnixDatagram;
    use std::process::{Command, Stdio};

    use super::*;

    fn pulse(name: &str, progress: u64, waiting: bool) -> Pulse {
        Pulse { name: name.to_owned(), progress, waiting }
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn what_advances_or_has_nothing_to_do_is_alive() {
        let mut watchdog = Watchdog::new(Duration::ZERO);
        for look in 0..100 {
            // The camera of `front` is dead from the beginning, that of `yard` dies after ten looks.
            let pulses = [pulse("engine", look * 3, true), pulse("front", 0, false), pulse("yard", look.min(10), look < 10)];
            assert_eq!(watchdog.judge(seconds(look), &pulses), Verdict::Alive, "look {look}");
        }
    }

    #[test]
    fn work_that_nobody_does_is_told_by_name() {
        let mut watchdog = Watchdog::new(Duration::ZERO);
        let looks = |engine, front| [pulse("engine", engine, true), pulse("front", front, true), pulse("tokio", 0, false)];
        assert_eq!(watchdog.judge(seconds(0), &looks(7, 1)), Verdict::Alive);
        assert_eq!(watchdog.judge(seconds(5), &looks(7, 2)), Verdict::Stuck(vec![("engine".to_owned(), seconds(5))]));
        let both = vec![("engine".to_owned(), seconds(10)), ("front".to_owned(), seconds(5))];
        assert_eq!(watchdog.judge(seconds(10), &looks(7, 2)), Verdict::Stuck(both));
        assert_eq!(watchdog.judge(seconds(15), &looks(8, 3)), Verdict::Alive);
    }

    #[test]
    fn patience_is_counted_from_the_last_advance() {
        let mut watchdog = Watchdog::for_interval(seconds(30));
        let at = |watchdog: &mut Watchdog, second, progress| watchdog.judge(seconds(second), &[pulse("engine", progress, true)]);
        assert_eq!(at(&mut watchdog, 0, 1), Verdict::Alive);
        assert_eq!(at(&mut watchdog, 8, 1), Verdict::Alive);
        assert_eq!(at(&mut watchdog, 15, 1), Verdict::Alive);
        assert_eq!(at(&mut watchdog, 16, 1), Verdict::Stuck(vec![("engine".to_owned(), seconds(16))]));
        // A batch that took long and is done: all is well, and patience begins anew.
        assert_eq!(at(&mut watchdog, 17, 2), Verdict::Alive);
        assert_eq!(at(&mut watchdog, 32, 2), Verdict::Alive);
        assert_eq!(at(&mut watchdog, 33, 2), Verdict::Stuck(vec![("engine".to_owned(), seconds(16))]));
    }

    #[test]
    fn work_that_comes_after_a_rest_has_its_patience_before_it() {
        let mut watchdog = Watchdog::new(seconds(10));
        assert_eq!(watchdog.judge(seconds(0), &[pulse("engine", 4, false)]), Verdict::Alive);
        assert_eq!(watchdog.judge(seconds(3600), &[pulse("engine", 4, false)]), Verdict::Alive);
        assert_eq!(watchdog.judge(seconds(3605), &[pulse("engine", 4, true)]), Verdict::Alive);
        assert_eq!(watchdog.judge(seconds(3611), &[pulse("engine", 4, true)]), Verdict::Stuck(vec![("engine".to_owned(), seconds(11))]));
    }

    #[test]
    fn a_stream_that_is_gone_holds_up_nothing_and_comes_back_as_new() {
        let mut watchdog = Watchdog::new(Duration::ZERO);
        watchdog.judge(seconds(0), &[pulse("front", 1, true)]);
        assert!(matches!(watchdog.judge(seconds(1), &[pulse("front", 1, true)]), Verdict::Stuck(_)));
        assert_eq!(watchdog.judge(seconds(2), &[]), Verdict::Alive);
        assert_eq!(watchdog.judge(seconds(3), &[pulse("front", 1, true)]), Verdict::Alive);
    }

    /// Both ends of the socket: the test starts itself again as the service, since the socket's name comes by the environment.
    #[test]
    fn the_manager_hears_it_all() {
        const ROLE: &str = "GRADCAST_TEST_SERVICE";
        if env::var_os(ROLE).is_some() {
            let notifier = Notifier;
            notifier.extend_timeout(seconds(20));
            notifier.ready();
            notifier.status(&status_line(2, 3, 45.0, 15.25));
            notifier.reloading();
            notifier.ready();
            notifier.ping();
            notifier.stopping();
            // WATCHDOG_USEC is not set: nobody waits for pings.
            assert_eq!(notifier.watchdog(), None);
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(seconds(60))).unwrap();
        let name = "service::notify::tests::the_manager_hears_it_all";
        let mut service = Command::new(env::current_exe().unwrap());
        service.args([name, "--exact"]).env(ROLE, "1").env("NOTIFY_SOCKET", &path).env_remove("WATCHDOG_USEC").stdout(Stdio::null());
        assert!(service.status().unwrap().success());
        let heard = || {
            let mut bytes = [0; 512];
            let length = socket.recv(&mut bytes).unwrap();
            String::from_utf8(bytes[..length].to_vec()).unwrap()
        };
        assert_eq!(heard(), "EXTEND_TIMEOUT_USEC=20000000\n");
        assert_eq!(heard(), "READY=1\n");
        assert_eq!(heard(), "STATUS=2 of 3 streams up, 45.0 frames a second, 15.2 explained\n");
        let reloading = heard();
        let time_us = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").and_then(|rest| rest.trim_end().parse::<u64>().ok());
        assert!(time_us.is_some_and(|time_us| time_us > 0), "{reloading}");
        assert_eq!(heard(), "READY=1\n");
        assert_eq!(heard(), "WATCHDOG=1\n");
        assert_eq!(heard(), "STOPPING=1\nSTATUS=draining streams and closing files\n");
    }
}
