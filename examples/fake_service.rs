//! The HTTP side alone, in front of a service whose numbers and pictures are made up: `cargo run --example fake_service -- 127.0.0.1:9464`.
//! For tries of the API and for work on the page.

#![allow(clippy::unwrap_used)]

#[path = "../tests/fake_service/mod.rs"]
mod fake_service;

use std::process::ExitCode;

use fake_service::{Fake, Served, settings};
use gradcast::service::http::Limits;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let address = match &arguments[..] {
        [address] => address.parse(),
        _ => "".parse(),
    };
    let Ok(listen) = address else {
        eprintln!("usage: fake_service ADDRESS:PORT");
        return ExitCode::from(2);
    };
    let fake = Fake::with(&["front", "back"]);
    let _moving = fake.animate();
    let mut settings = settings(None);
    settings.listen = listen;
    match Served::start(fake, &settings, Limits::default()) {
        Ok(served) => {
            eprintln!("http://{}/", served.address);
            served.wait();
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(error.exit_code())
        }
    }
}
