//! Batches of frames to explanations, on a pool of workers. A worker owns a plan; tensors are sent, never shared.

mod answer;
mod batcher;
mod choice;
mod compute;
pub mod cuda;
mod devices;
mod fault;
pub mod memory;
mod meters;
mod pool;
mod record;
mod settings;
mod ticket;
mod worker;

pub use answer::{Class, Explained, FrameAnswer, Numbers, Subject, TermSite};
pub use batcher::{BatchSettings, Batcher, Client, MakeEngine, Reply, Request};
pub use choice::{Choice, Rule};
pub use devices::{Asked, Devices};
pub use fault::Fault;
pub use meters::Meters;
pub use pool::{Batch, Engine, Task};
pub use record::{Counts, Record};
pub use settings::{Precision, Settings};
pub use ticket::Ticket;

/// An engine whose faults are injected, for tests of what is above it.
#[cfg(test)]
pub(crate) use worker::tests as faulty;
