//! The daemon with everything around it going wrong, beside streams that must not notice.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../cameras/mod.rs"]
mod cameras;
#[path = "../daemon/mod.rs"]
mod daemon;

mod clock;
mod disk;
mod ends;
mod engine;
mod lossless;
mod programs;
mod sources;
mod stage;
mod viewer;
mod viewers;
