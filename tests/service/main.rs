//! The daemon from outside: started, asked, changed, reloaded and ended, under load.

#[path = "../daemon/mod.rs"]
mod daemon;

mod ends;
mod orders;
mod reloads;
