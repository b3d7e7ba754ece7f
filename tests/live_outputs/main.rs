//! Live outputs through [`gradcast::video::live`], with frames drawn here and real servers, players and files at the other end.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod encoder;
mod files;
mod outside;
mod preview;
mod push;
mod rtsp;
mod segments;
mod stage;
mod stalled;
