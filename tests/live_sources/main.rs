//! Live sources against real servers on loopback: what comes, how it looks, and what each fault gives.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../cameras/mod.rs"]
mod cameras;
mod faults;
mod files;
mod network;
mod rtmp;
mod rtsp;
mod shapes;
mod taking;
mod web;
