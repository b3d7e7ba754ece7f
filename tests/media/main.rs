//! Recorded video through [`gradcast::video`]: each clip gives a right video or a clear error. Clips are read from the folder `shared`
//! beside the project; what is not there is skipped, with a line that says so.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod clips;
mod copy;
mod files;
mod made;
mod probe;
mod times;
