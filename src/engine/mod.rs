//! Batches of frames to explanations, on a pool of workers. A worker owns a plan; tensors are sent, never shared.

mod choice;
mod pool;
mod settings;
mod ticket;

pub use choice::Choice;
pub use pool::{Engine, Task};
pub use settings::{Precision, Settings};
pub use ticket::Ticket;
