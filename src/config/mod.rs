//! What the user sets, read from the command line's names or a file, checked whole.

pub mod model;
