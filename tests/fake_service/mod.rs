//! A service without streams, cameras and network, for whatever speaks to it over HTTP: its numbers are set, or move by themselves.
#![allow(dead_code, unused_imports, reason = "each test uses a part of it")]

mod moving;
mod served;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use gradcast::service::{Faults, Feed, Latency, Look, Offer, Operations, Outcomes, Readiness, Refused, SinkState, StreamState, Up};
use gradcast::telemetry::{Counter, Registry};
use serde_json::{Value, json};
use tokio::sync::watch;

pub use moving::Moving;
pub use served::{Served, settings};

pub const METHODS: [&str; 3] = ["fullgrad", "simple-fullgrad", "input-x-gradient"];
pub const COLOUR_MAPS: [&str; 6] = ["turbo", "inferno", "viridis", "magma", "jet", "grey"];
pub const LABELS: [&str; 5] = ["golden retriever", "tabby cat", "espresso", "desktop computer", "street sign"];

/// Keys that a stream may have, beside name and source.
const KEYS: [&str; 8] = ["opacity", "colour_map", "target", "method", "every", "max_fps", "mode", "sink"];

struct Stream {
    state: StreamState,
    pictures: watch::Sender<Bytes>,
    viewers: Arc<AtomicUsize>,
}

/// See the head of the file.
pub struct Fake {
    streams: Mutex<Vec<Stream>>,
    registry: Registry,
    scrapes: Counter,
    /// Why the service is not ready; `None`: it is.
    pub why_not_ready: Mutex<Option<String>>,
    pub healthy: AtomicBool,
    /// Refuses what would change something.
    pub ending: AtomicBool,
    /// What a reload comes to.
    pub reloaded: Mutex<Result<Vec<String>, Faults>>,
    /// How often all states were asked for.
    pub looks: AtomicUsize,
    /// What was asked for that changes something: what, name, document.
    pub asked: Mutex<Vec<(&'static str, String, Value)>>,
}

impl Fake {
    pub fn with(names: &[&str]) -> Arc<Self> {
        let registry = Registry::default();
        let scrapes = registry.counters("scrapes_total", "Scrapes of the fake service.", &[]).with(&[]);
        let fake = Fake {
            streams: Mutex::default(),
            registry,
            scrapes,
            why_not_ready: Mutex::default(),
            healthy: AtomicBool::new(true),
            ending: AtomicBool::new(false),
            reloaded: Mutex::new(Ok(Vec::new())),
            looks: AtomicUsize::new(0),
            asked: Mutex::default(),
        };
        for name in names {
            fake.streams().push(Stream::new(name, "rtsp://camera.example/stream"));
        }
        Arc::new(fake)
    }

    fn streams(&self) -> MutexGuard<'_, Vec<Stream>> {
        self.streams.lock().unwrap()
    }

    /// Sets a stream's state by hand.
    pub fn set(&self, name: &str, set: impl FnOnce(&mut StreamState)) {
        set(&mut self.streams().iter_mut().find(|stream| stream.state.name == name).expect("a stream of the fake").state);
    }

    /// A stream's next picture.
    pub fn show(&self, name: &str, picture: Bytes) {
        self.streams().iter().find(|stream| stream.state.name == name).expect("a stream of the fake").pictures.send_replace(picture);
    }

    /// Ends a stream's feeds; who asks from now on gets another.
    pub fn restart(&self, name: &str) {
        let mut streams = self.streams();
        let stream = streams.iter_mut().find(|stream| stream.state.name == name).expect("a stream of the fake");
        stream.pictures = watch::Sender::new(Bytes::new());
    }

    /// How many look at a stream.
    pub fn viewers(&self, name: &str) -> usize {
        let streams = self.streams();
        let stream = streams.iter().find(|stream| stream.state.name == name);
        stream.map_or(0, |stream| stream.viewers.load(Ordering::SeqCst))
    }

    fn asked(&self, what: &'static str, name: &str, document: &Value) -> Result<(), Refused> {
        self.asked.lock().unwrap().push((what, name.into(), document.clone()));
        if self.ending.load(Ordering::SeqCst) { Err(Refused::NotNow) } else { Ok(()) }
    }
}

impl Stream {
    fn new(name: &str, source: &str) -> Self {
        let look = Look { opacity: 0.5, colour_map: "turbo".into(), target: "hold:0.5".into(), method: "fullgrad".into() };
        let reasons = ["decode_queue", "engine_queue", "encode_queue", "disconnected", "caps_change", "shutdown"];
        let dropped = reasons.iter().map(|reason| ((*reason).to_owned(), 0)).collect::<BTreeMap<_, _>>();
        let state = StreamState {
            name: name.into(),
            source: source.into(),
            up: Up::Up,
            last_error: None,
            since_unix_seconds: gradcast::clock::unix_time().as_secs_f64(),
            last_frame_unix_seconds: Some(gradcast::clock::unix_time().as_secs_f64()),
            size_px: Some((1280, 720)),
            decoded_fps: 15.0,
            explained_fps: 15.0,
            frames: Outcomes { dropped, ..Outcomes::default() },
            latency: Some(Latency { p50: 0.042, p99: 0.087 }),
            reconnects: 0,
            last_residual: Some(1.6e-7),
            target_label: Some("golden retriever".into()),
            target_probability: Some(0.87),
            look,
            encoder: Some("x264enc".into()),
            sinks: vec![SinkState { name: "rtsp".into(), kind: "rtsp".into(), up: true, viewers: Some(1), last_error: None }],
            configuration: json!({ "name": name, "source": source, "opacity": 0.5 }),
        };
        Stream { state, pictures: watch::Sender::new(Bytes::new()), viewers: Arc::default() }
    }

    fn apply(&mut self, document: &Value) {
        let look = &mut self.state.look;
        let text = |key: &str| document[key].as_str().map(str::to_owned);
        look.opacity = document["opacity"].as_f64().map_or(look.opacity, |opacity| opacity as f32);
        look.colour_map = text("colour_map").unwrap_or(look.colour_map.clone());
        look.target = text("target").unwrap_or(look.target.clone());
        look.method = text("method").unwrap_or(look.method.clone());
        for (key, value) in document.as_object().expect("an object") {
            self.state.configuration[key] = value.clone();
        }
    }
}

/// What is wrong with the keys that streams share.
fn faults(document: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    for (key, value) in document.as_object().expect("an object") {
        let one_of = |choice: &[&str]| match value.as_str() {
            Some(text) if choice.contains(&text) => None,
            _ => Some(format!("{key}: {value} is not one of {}", choice.join(", "))),
        };
        faults.extend(match key.as_str() {
            "name" | "source" => None,
            "opacity" => match value.as_f64() {
                Some(number) if (0.0..=1.0).contains(&number) => None,
                _ => Some(format!("opacity: {value} is no number from 0 to 1")),
            },
            "colour_map" => one_of(&COLOUR_MAPS),
            "method" => one_of(&METHODS),
            "target" => match value.as_str() {
                Some(text) if text == "argmax" || text.starts_with("hold:") || LABELS.contains(&text) => None,
                _ => Some(format!("target: {value} is no label of the network; nearest: \"golden retriever\"")),
            },
            _ if KEYS.contains(&key.as_str()) => None,
            _ => Some(format!("{key}: unknown key")),
        });
    }
    faults
}

fn faults_of_new(document: &Value) -> Vec<String> {
    let mut faults = faults(document);
    let is_name =
        |name: &str| (1..=64).contains(&name.chars().count()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if !document["name"].as_str().is_some_and(is_name) {
        faults.push("name: has to be 1 to 64 letters, digits, - and _".into());
    }
    let source = &document["source"];
    if !(source.as_str().is_some_and(|text| !text.is_empty()) || source["kind"].is_string()) {
        faults.push("source: has to be an address, a path, or a table with kind".into());
    }
    faults
}

fn refuse(faults: Vec<String>) -> Result<(), Refused> {
    if faults.is_empty() { Ok(()) } else { Err(Refused::Faults(Faults(faults))) }
}

impl Operations for Fake {
    fn states(&self) -> Vec<StreamState> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        self.streams().iter().map(|stream| stream.state.clone()).collect()
    }

    fn state(&self, name: &str) -> Option<StreamState> {
        self.streams().iter().find(|stream| stream.state.name == name).map(|stream| stream.state.clone())
    }

    fn add(&self, document: &Value) -> Result<StreamState, Refused> {
        let name = document["name"].as_str().unwrap_or_default();
        self.asked("add", name, document)?;
        refuse(faults_of_new(document))?;
        if self.state(name).is_some() {
            return Err(Refused::Exists);
        }
        let source = document["source"].as_str().map_or_else(|| document["source"].to_string(), str::to_owned);
        let mut stream = Stream::new(name, &source);
        stream.apply(document);
        let state = stream.state.clone();
        self.streams().push(stream);
        Ok(state)
    }

    fn change(&self, name: &str, changes: &Value) -> Result<StreamState, Refused> {
        self.asked("change", name, changes)?;
        let mut streams = self.streams();
        let stream = streams.iter_mut().find(|stream| stream.state.name == name).ok_or(Refused::Unknown)?;
        let mut faults = faults(changes);
        faults.extend(["name", "source"].into_iter().filter(|key| !changes[key].is_null()).map(|key| format!("{key}: stays as it is")));
        refuse(faults)?;
        stream.apply(changes);
        Ok(stream.state.clone())
    }

    fn remove(&self, name: &str) -> Result<(), Refused> {
        self.asked("remove", name, &Value::Null)?;
        let mut streams = self.streams();
        let at = streams.iter().position(|stream| stream.state.name == name).ok_or(Refused::Unknown)?;
        streams.remove(at);
        Ok(())
    }

    fn reload(&self) -> Result<Vec<String>, Faults> {
        self.reloaded.lock().unwrap().clone()
    }

    fn readiness(&self) -> Readiness {
        let why = self.why_not_ready.lock().unwrap().clone();
        Readiness { ready: why.is_none(), why }
    }

    fn healthy(&self) -> bool {
        self.healthy.load(Ordering::SeqCst)
    }

    fn metrics(&self) -> String {
        self.scrapes.inc();
        self.registry.text()
    }

    fn offer(&self) -> Offer {
        let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Offer { methods: texts(&METHODS), colour_maps: texts(&COLOUR_MAPS), labels: texts(&LABELS) }
    }

    fn preview(&self, name: &str) -> Option<Feed> {
        let streams = self.streams();
        let stream = streams.iter().find(|stream| stream.state.name == name)?;
        Some(Feed::new(stream.pictures.subscribe(), &stream.viewers))
    }
}
