//! Sinks that are one pipeline for as long as it works: other servers, loopback devices, the operator's own text.

use std::path::Path;

use gst::prelude::*;
use url::Url;

use super::anchor::Anchor;
use super::packets::Packet;
use super::pipe::{Pipe, Timing};
use super::settings::Push;
use super::sink::{Surroundings, Writer};
use crate::error::{Error, Result};
use crate::video::launch::{find, pipeline};

/// A pipeline that runs on its own clock.
pub(super) struct StreamWriter {
    pipe: Pipe,
    shown: String,
    /// Texts that no message may have, and what stands for them.
    hidden: Vec<(String, String)>,
}

/// A URL as messages show it: no credentials, no options, and of RTMP no stream's name, which is its key.
fn shown_url(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let path = match url.scheme() {
        "rtmp" | "rtmps" => url.path().rsplit_once('/').map_or("", |(application, _)| application),
        _ => url.path().trim_end_matches('/'),
    };
    format!("{}://{host}{port}{path}", url.scheme())
}

impl StreamWriter {
    /// Somebody else's server.
    pub fn push(push: &Push, around: &Surroundings) -> Result<Self> {
        // The parser's error would not show the URL, which may hold credentials.
        let url = Url::parse(&push.url).map_err(|error| Error::config(format!("the sink's url is none: {error}")))?;
        let shown = shown_url(&url);
        let password = push.password.as_ref().map(|password| password.reveal());
        let (name, built_in) = match url.scheme() {
            "rtsp" | "rtsps" => ("live_sink_push_rtsp.gst", include_str!("../../../pipelines/live_sink_push_rtsp.gst")),
            "rtmp" | "rtmps" => ("live_sink_push_rtmp.gst", include_str!("../../../pipelines/live_sink_push_rtmp.gst")),
            "srt" => ("live_sink_push_srt.gst", include_str!("../../../pipelines/live_sink_push_srt.gst")),
            other => return Err(Error::config(format!("{other}:// is nothing to push to: rtsp, rtmp and srt are"))),
        };
        let pipeline = pipeline(&around.text(name, built_in)?, &[])?;
        let server: gst::Element = find(&pipeline, "server")?;
        match url.scheme() {
            "srt" => {
                server.set_property("uri", &push.url);
                if let Some(passphrase) = password {
                    server.set_property("passphrase", passphrase);
                    // 16 bytes: AES-128, which every SRT knows.
                    server.set_property_from_str("pbkeylen", "16");
                }
            }
            "rtmp" | "rtmps" => {
                server.set_property("location", &push.url);
                set_credentials(&server, ("username", "password"), push.user.as_deref(), password);
            }
            _ => {
                server.set_property("location", &push.url);
                set_credentials(&server, ("user-id", "user-pw"), push.user.as_deref(), password);
            }
        }
        let mut hidden = vec![(push.url.clone(), shown.clone())];
        let key = url.path().rsplit('/').next().filter(|key| url.scheme().starts_with("rtmp") && !key.is_empty());
        hidden.extend(key.into_iter().chain(password).chain(url.password()).map(|text| (text.to_owned(), "…".to_owned())));
        Self::start(pipeline, shown, hidden, around)
    }

    /// A loopback device.
    pub fn device(path: &Path, around: &Surroundings) -> Result<Self> {
        let shown = path.display().to_string();
        if path.symlink_metadata().is_err() {
            return Err(Error::runtime(format!("{shown}: there is no such device: load the module v4l2loopback, or name another")));
        }
        let text = around.text("live_sink_device.gst", include_str!("../../../pipelines/live_sink_device.gst"))?;
        let pipeline = pipeline(&text, &[])?;
        find::<gst::Element>(&pipeline, "device")?.set_property("device", path.to_string_lossy().as_ref());
        Self::start(pipeline, shown, Vec::new(), around)
    }

    /// The operator's own.
    pub fn text(text: &str, around: &Surroundings) -> Result<Self> {
        let frame = around.text("live_sink_text.gst", include_str!("../../../pipelines/live_sink_text.gst"))?;
        let pipeline = pipeline(&frame, &[("text", text)])?;
        Self::start(pipeline, "the sink's own pipeline".to_owned(), Vec::new(), around)
    }

    fn start(pipeline: gst::Pipeline, shown: String, hidden: Vec<(String, String)>, around: &Surroundings) -> Result<Self> {
        let timing = Timing::Clock(Anchor::default());
        let tell = |error: Error| concealed(&error, &shown, &hidden);
        let pipe = Pipe::start(pipeline, timing, &around.stop, around.hang()).map_err(tell)?;
        Ok(StreamWriter { pipe, shown, hidden })
    }

    fn conceal(&self, error: Error) -> Error {
        concealed(&error, &self.shown, &self.hidden)
    }
}

fn set_credentials(server: &gst::Element, (user_key, password_key): (&str, &str), user: Option<&str>, password: Option<&str>) {
    if let Some(user) = user {
        server.set_property(user_key, user);
    }
    if let Some(password) = password {
        server.set_property(password_key, password);
    }
}

/// GStreamer's messages may have the URL and whatever is in it. What caused the error is left out too, since it says the same.
fn concealed(error: &Error, shown: &str, hidden: &[(String, String)]) -> Error {
    let mut words = error.to_string();
    for (text, instead) in hidden {
        words = words.replace(text, instead);
    }
    Error::new(error.kind(), words).at(shown)
}

impl Writer for StreamWriter {
    fn write(&mut self, packet: Packet) -> Result<()> {
        self.pipe.push(packet).map_err(|error| concealed(&error, &self.shown, &self.hidden))
    }

    fn check(&self) -> Result<()> {
        self.pipe.check().map_err(|error| self.conceal(error))
    }

    fn is_up(&self) -> bool {
        self.pipe.is_proven()
    }

    fn end(self: Box<Self>) -> Result<()> {
        let Self { pipe, shown, hidden } = *self;
        pipe.end().map_err(|error| concealed(&error, &shown, &hidden))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_shown_without_what_is_secret() {
        let shown = |url: &str| shown_url(&Url::parse(url).unwrap());
        assert_eq!(shown("rtsp://ann:hunter2@host:8554/front?token=x"), "rtsp://host:8554/front");
        assert_eq!(shown("rtmp://live.host/app/k3y"), "rtmp://live.host/app");
        assert_eq!(shown("srt://host:7001?passphrase=hunter2hunter2"), "srt://host:7001");
    }

    #[test]
    fn no_message_has_a_secret() {
        let hidden = [("rtmp://h/app/k3y".to_owned(), "rtmp://h/app".to_owned()), ("k3y".to_owned(), "…".to_owned())];
        let error = Error::runtime("Could not open rtmp://h/app/k3y: stream k3y refused");
        let told = concealed(&error, "rtmp://h/app", &hidden).to_string();
        assert_eq!(told, "rtmp://h/app: Could not open rtmp://h/app: stream … refused");
    }
}
