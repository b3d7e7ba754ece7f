//! Batches of frames to explanations, on a pool of workers. A worker owns a plan; tensors are sent, never shared.

mod answer;
mod choice;
mod fault;
mod pool;
mod settings;
mod ticket;

pub use answer::{Class, Explained, FrameAnswer, Numbers, Subject, TermSite};
pub use choice::Choice;
pub use fault::Fault;
pub use pool::{Batch, Engine, Task};
pub use settings::{Precision, Settings};
pub use ticket::Ticket;
