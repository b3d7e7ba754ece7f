//! Cameras for tests and for trying things out: RTSP servers on loopback, with every fault that a camera has.
//!
//! A [`Camera`] is an RTSP server of GStreamer's behind a [`relay`](relay::Relay), which is where its connections are slowed, cut, held or
//! filled with rubbish. RTP over UDP does not pass the relay; faults of packets are made in the server's own pipeline then.

#![allow(dead_code, clippy::unwrap_used, clippy::print_stdout, missing_docs)]

pub mod clip;
pub mod relay;
pub mod server;

use std::sync::atomic::Ordering;

use relay::Relay;
use server::{Faults, Server};

/// What a camera sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    H264,
    H265,
    Mjpeg,
    /// A microphone, and no picture.
    Sound,
}

#[derive(Debug, Clone)]
pub struct CameraSettings {
    pub size_px: (u32, u32),
    pub fps: u32,
    pub codec: Codec,
    /// As videotestsrc names it.
    pub pattern: &'static str,
    /// User and password that it asks for.
    pub credentials: Option<(&'static str, &'static str)>,
}

impl Default for CameraSettings {
    fn default() -> Self {
        CameraSettings { size_px: (320, 240), fps: 15, codec: Codec::H264, pattern: "ball", credentials: None }
    }
}

/// A camera that runs until it is dropped.
pub struct Camera {
    settings: CameraSettings,
    faults: std::sync::Arc<Faults>,
    server: Option<Server>,
    relay: Relay,
}

impl Camera {
    /// On a free port of 127.0.0.1.
    pub fn start(settings: CameraSettings) -> Camera {
        gst::init().unwrap();
        let faults = std::sync::Arc::new(Faults::default());
        let server = Server::of_camera(&settings, &faults);
        let relay = Relay::start(server.port());
        Camera { settings, faults, server: Some(server), relay }
    }

    /// Without credentials.
    pub fn url(&self) -> String {
        format!("rtsp://127.0.0.1:{}/camera", self.relay.port())
    }

    /// Connections that are open.
    pub fn connections(&self) -> usize {
        self.relay.connections()
    }

    /// As if its power were cut: connections break, and nobody listens any more.
    pub fn kill(&mut self) {
        self.relay.close();
        self.server = None;
    }

    /// It is there again, at the same address.
    pub fn restart(&mut self) {
        let server = Server::of_camera(&self.settings, &self.faults);
        self.relay.open(server.port());
        self.server = Some(server);
    }

    /// Without a word: connections stay open, new ones are taken, and nothing comes on them.
    pub fn hang(&self, hangs: bool) {
        self.faults.silent.store(hangs, Ordering::Relaxed);
        self.relay.hold(hangs);
    }

    /// Another size from now on, in mid-stream and for those who come later.
    pub fn resize(&mut self, width_px: u32, height_px: u32) {
        self.settings.size_px = (width_px, height_px);
        self.faults.resize(&self.settings);
    }

    /// What comes on the connection is no RTSP any more.
    pub fn send_rubbish(&self, rubbish: bool) {
        self.relay.send_rubbish(rubbish);
    }

    /// Packets come as they should, and what is in them is rubbish.
    pub fn spoil_packets(&self, spoilt: bool) {
        self.faults.spoilt.store(spoilt, Ordering::Relaxed);
    }

    /// Whoever connects from now on is refused, whatever the user and the password are.
    pub fn refuse_credentials(&self, refuses: bool) {
        let credentials = if refuses { Some(("nobody", "0c27bd1b-nobody-knows-it")) } else { self.settings.credentials };
        if let Some(server) = &self.server {
            server.demand(credentials);
        }
    }

    /// At most so many bytes a second on each connection.
    pub fn slow(&self, bytes_per_second: Option<usize>) {
        self.relay.limit(bytes_per_second);
    }
}
