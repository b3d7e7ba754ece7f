//! `gradcast overlay` as a user meets it: real and made clips in, files out that ffprobe and ffmpeg judge.
//!
//! Clips that are not part of the project lie in a folder beside it; without them the tests that use them say so and end.

mod audio;
mod clips;
mod command;
mod compare;
mod detector;
mod faults;
mod interrupted;
mod made;
mod memory;
mod numbers;
mod pictures;
mod probe;
mod rhythm;
