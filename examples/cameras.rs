//! Two cameras to try things with: `cargo run --example cameras` serves the bundled clips at rtsp://127.0.0.1:8555/one and /two until it
//! is stopped by Ctrl-C. `cargo run --example cameras -- PORT CLIP.mp4...` serves others (H.264), at /one, /two, /three, /four.

#![allow(clippy::print_stdout, missing_docs)]

#[path = "../tests/cameras/mod.rs"]
mod cameras;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cameras::clip::Clip;
use cameras::server::Server;

const NAMES: [&str; 4] = ["one", "two", "three", "four"];
const PORT: u16 = 8555;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let port = match arguments.first().map(|port| port.parse()) {
        None => PORT,
        Some(Ok(port)) => port,
        Some(Err(_)) => {
            eprintln!("usage: cameras [PORT [CLIP.mp4...]]");
            return ExitCode::from(2);
        }
    };
    let media = Path::new(env!("CARGO_MANIFEST_DIR")).join("media");
    let mut clips: Vec<PathBuf> = arguments.iter().skip(1).map(PathBuf::from).collect();
    if clips.is_empty() {
        clips = ["demo_clip.mp4", "bigbuckbunny.mp4"].map(|name| media.join(name)).to_vec();
    }
    if let Some(missing) = clips.iter().find(|clip| !clip.is_file()) {
        eprintln!("cameras: there is no file {}", missing.display());
        return ExitCode::from(66);
    }
    let mounts = NAMES.iter().zip(&clips).map(|(name, clip)| (format!("/{name}"), Clip::read(clip).factory())).collect();
    let server = Server::start(port, mounts);
    for (name, clip) in NAMES.iter().zip(&clips) {
        println!("rtsp://127.0.0.1:{}/{name}  {}", server.port(), clip.display());
    }
    println!("Ctrl-C stops them.");
    loop {
        std::thread::park();
    }
}
