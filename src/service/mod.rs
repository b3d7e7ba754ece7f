//! Many streams for months: supervision, reloading, HTTP, and what systemd is told.

pub mod http;
mod life;
mod member;
mod notify;
mod operations;
mod rounds;
mod settings;
mod state;
mod supervisor;

pub use life::run;
pub use notify::{Notifier, Pulse, Verdict, Watchdog, status_line};
pub use operations::{Feed, Offer, Operations, Refused};
pub use settings::{Configuration, Faults, HttpSettings, Settings};
pub use state::{Latency, Look, Outcomes, Readiness, SinkState, StreamState, Up};
