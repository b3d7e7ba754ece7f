//! The tables of a file that hold for all streams.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use super::findings::Findings;
use super::keys::Table;
use super::node::{Node, Value};
use super::secrets::Vault;
use super::section::{Section, one_of};
use super::tables::{ENGINE, HTTP, LOG, PIPELINES, RTSP};
use crate::engine::{Asked, Precision};
use crate::saliency::Method;
use crate::service::HttpSettings;
use crate::video::live::RtspServerSettings;

/// All but the streams.
#[derive(Debug, Clone, PartialEq)]
pub struct Daemon {
    /// `[engine]`
    pub engine: EngineWords,
    /// `[http]`
    pub http: HttpSettings,
    /// `[rtsp]`
    pub rtsp: RtspServerSettings,
    /// Whether `[rtsp]` is there.
    pub rtsp_given: bool,
    /// `[pipelines]`; `None` where the folder is not there.
    pub pipelines: Option<PathBuf>,
    /// `[log]`
    pub level: String,
}

/// What `[engine]` says, before the network and the devices are there.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineWords {
    /// A name, or a path.
    pub model: String,
    /// Where it computes.
    pub device: Asked,
    /// `None` for what the devices do well.
    pub precision: Option<Precision>,
    /// See [`crate::engine::Settings::workers`].
    pub workers: Option<NonZeroUsize>,
    /// See [`crate::engine::Settings::threads`].
    pub threads: Option<NonZeroUsize>,
    /// Frames; `None` for what suits the devices.
    pub max_batch: Option<NonZeroUsize>,
    /// How long the oldest waits.
    pub max_wait: Duration,
    /// See [`crate::engine::Settings::max_residual`].
    pub max_residual: Option<f64>,
    /// Those that streams may have, at least one.
    pub methods: Vec<Method>,
}

/// Reads the tables of a file. `None` where something of them is wrong.
pub fn read(file: &Node, vault: &Vault, found: &mut Findings) -> Option<Daemon> {
    let before = found.count();
    let engine = engine(file, vault, found);
    let http = open(file, "http", &HTTP, vault, found, |section, found| {
        let (listen, token) = (section.address("listen", found), section.secret("token_file", found));
        if let Some(listen) = listen.filter(|listen| !listen.ip().is_loopback() && !section.has("token_file")) {
            let warning = format!("{listen} is open to other machines without a token: who reaches it can change streams; give token_file");
            found.warn(&section.path("listen"), warning);
        }
        Some(HttpSettings { listen: listen?, token })
    });
    let rtsp = open(file, "rtsp", &RTSP, vault, found, |section, found| {
        let (user, password) = section.credentials(found);
        Some(RtspServerSettings { listen: section.address("listen", found)?, user, password })
    });
    let pipelines = open(file, "pipelines", &PIPELINES, vault, found, |section, found| {
        let folder = section.path_of("folder", found)?;
        if section.has("folder") && !folder.is_dir() {
            found.fault(&section.path("folder"), format!("{} is no folder; make it, or leave the key out", folder.display()));
        }
        Some(Some(folder).filter(|folder| folder.is_dir()))
    });
    let level = open(file, "log", &LOG, vault, found, |section, found| section.text("level", found));
    let (engine, http, rtsp, pipelines, level) = (engine?, http?, rtsp?, pipelines?, level?);
    let rtsp_given = file.get("rtsp").is_some();
    (found.count() == before).then_some(Daemon { engine, http, rtsp, rtsp_given, pipelines, level })
}

/// Reads a table, which has its usual values where it is not there.
fn open<T>(
    file: &Node,
    name: &str,
    table: &'static Table,
    vault: &Vault,
    found: &mut Findings,
    read: impl Fn(&Section, &mut Findings) -> Option<T>,
) -> Option<T> {
    let absent = Node { line: None, value: Value::Table(Vec::new()) };
    let section = Section::open(file.get(name).unwrap_or(&absent), table, name, &[], vault, found)?;
    read(&section, found)
}

fn engine(file: &Node, vault: &Vault, found: &mut Findings) -> Option<EngineWords> {
    open(file, "engine", &ENGINE, vault, found, |section, found| {
        let model = section.text("model", found).map(|model| beside(&model, vault));
        let device = section.parsed("device", found, |text| text.parse::<Asked>().map_err(|fault| format!("{text:?}: {fault}")));
        let precision = section.text("precision", found).map(|text| match text.as_str() {
            "f32" => Some(Precision::F32),
            "bf16" => Some(Precision::Bf16),
            "f16" => Some(Precision::F16),
            "f64" => Some(Precision::F64),
            _ => None,
        });
        let count = |name: &str, found: &mut Findings| section.whole::<usize>(name, found).and_then(NonZeroUsize::new);
        let (workers, threads, max_batch) = (count("workers", found), count("threads", found), count("max_batch", found));
        let max_wait = section.span("max_wait", found);
        let max_residual = section.number("max_residual", found);
        let methods = match section.has("methods") {
            true => methods(section, found)?,
            false => Method::ALL.into_iter().filter(|method| !matches!(method, Method::GradCam(_))).collect(),
        };
        Some(EngineWords {
            model: model?,
            device: device?,
            precision: precision?,
            workers,
            threads,
            max_batch,
            max_wait: max_wait?,
            max_residual,
            methods,
        })
    })
}

fn methods(section: &Section, found: &mut Findings) -> Option<Vec<Method>> {
    let names = Method::ALL.map(|method| method.name());
    let mut methods = Vec::new();
    for (path, text) in section.texts("methods", found)? {
        let known = if text.starts_with("grad-cam:") { Ok(()) } else { one_of(&text, &names) };
        match known.and_then(|()| text.parse::<Method>().map_err(|error| error.to_string())) {
            Ok(method) if methods.contains(&method) => found.fault(&path, format!("{text} is there twice; leave one out")),
            Ok(method) => methods.push(method),
            Err(fault) => found.fault(&path, fault),
        }
    }
    if methods.is_empty() {
        found.fault(&section.path("methods"), "has no method in it; give at least fullgrad, or leave the key out");
        return None;
    }
    Some(methods)
}

/// A network's file beside the configuration; a name stays a name.
fn beside(model: &str, vault: &Vault) -> String {
    let file = model.contains('/') || model.ends_with(".onnx") || model.ends_with(".toml");
    if file { vault.folder.join(model).display().to_string() } else { model.to_owned() }
}

impl Daemon {
    /// The keys that differ, which hold from the next start on.
    pub fn changes(&self, now: &Daemon) -> Vec<String> {
        let (a, b) = (&self.engine, &now.engine);
        let keys = [
            ("engine.model", a.model == b.model),
            ("engine.device", a.device == b.device),
            ("engine.precision", a.precision == b.precision),
            ("engine.workers", a.workers == b.workers),
            ("engine.threads", a.threads == b.threads),
            ("engine.max_batch", a.max_batch == b.max_batch),
            ("engine.max_wait", a.max_wait == b.max_wait),
            ("engine.max_residual", a.max_residual == b.max_residual),
            ("engine.methods", a.methods == b.methods),
            ("http.listen", self.http.listen == now.http.listen),
            ("http.token_file", self.http.token == now.http.token),
            ("rtsp", self.rtsp_given == now.rtsp_given),
            ("rtsp.listen", self.rtsp.listen == now.rtsp.listen),
            ("rtsp.user", self.rtsp.user == now.rtsp.user),
            ("rtsp.password_file", self.rtsp.password == now.rtsp.password),
            ("pipelines.folder", self.pipelines == now.pipelines),
            ("log.level", self.level == now.level),
        ];
        keys.into_iter().filter(|(_, same)| !same).map(|(key, _)| key.to_owned()).collect()
    }
}
