//! What the user sets, read from a file and checked whole: all faults at once, each with its line, its key and what to do.
//!
//! Every key is a row of the tables in `tables.rs`: from them files and documents are read, unknown keys are refused, what is usual is
//! taken, and docs/configuration.md is made. A document of the HTTP API goes through the same reading as a `[[stream]]` of the file.

mod daemon;
mod document;
mod file;
mod findings;
mod keys;
pub mod model;
mod node;
pub mod reference;
mod secrets;
mod section;
mod sink;
mod source;
mod stream;
mod tables;
mod units;

pub use daemon::{Daemon, EngineWords};
pub use file::{Opened, Survey, devices, open, serves, survey};
pub use findings::Findings;
pub use secrets::Vault;
pub use stream::Surroundings;
