//! A whole file: read, checked, and turned into what a service needs; and the same file again on a reload.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value as Json;

use super::daemon::{self, Daemon};
use super::document;
use super::findings::Findings;
use super::model::{Asked, Given, Loaded};
use super::node::{self, Node, Value};
use super::secrets::Vault;
use super::section::unknown;
use super::stream::{self, Surroundings};
use super::tables::TOP;
use crate::engine::{self, Devices, Precision};
use crate::error::{Error, Kind, Result};
use crate::network::catalogue::{self, Found};
use crate::saliency::{self, Head};
use crate::service::{self, Configuration, Faults};
use crate::stream::live;
use crate::video::live::SinkKind;

/// Frames of a batch where nothing is said.
const BATCH_PROCESSOR: NonZeroUsize = NonZeroUsize::new(4).expect("not zero");
const BATCH_CUDA: NonZeroUsize = NonZeroUsize::new(32).expect("not zero");

/// What was found in a file, right or wrong.
pub struct Survey {
    /// Faults and warnings.
    pub found: Findings,
    /// The tables that hold for all streams, where they are right.
    pub daemon: Option<Daemon>,
    /// The network with what its output means, where it could be loaded.
    pub network: Option<(Loaded, Head)>,
    /// The streams that are right; without the network there are none.
    pub streams: Vec<live::Settings>,
    /// What the streams depend on, where the network is there.
    pub around: Option<Surroundings>,
}

/// A file that is right.
pub struct Opened {
    /// For the service.
    pub settings: service::Settings,
    /// For its reloads and for what comes over HTTP.
    pub configuration: Arc<dyn Configuration>,
    /// `[log].level`
    pub level: String,
    /// What goes, but should not be so.
    pub warnings: Vec<String>,
}

/// Reads a file and loads its network; opens nothing else.
pub fn survey(path: &Path) -> Survey {
    let mut found = Findings::of_file(path.to_owned());
    let vault = vault(path);
    let Some(file) = parse(path, &mut found) else {
        return Survey { found, daemon: None, network: None, streams: Vec::new(), around: None };
    };
    let daemon = daemon::read(&file, &vault, &mut found);
    let network = daemon.as_ref().and_then(|daemon| network(daemon, &mut found));
    let around = match (&daemon, &network) {
        (Some(daemon), Some((loaded, head))) => surroundings(daemon, loaded, head, vault.clone(), &mut found),
        _ => None,
    };
    let streams = streams(&file, around.as_ref().ok_or(&vault), &mut found);
    if let Some(daemon) = &daemon {
        ports(daemon, &streams, &mut found);
    }
    Survey { found, daemon, network, streams, around }
}

/// Reads a file, loads its network and opens its devices.
///
/// # Errors
/// Kind::Config with everything that is wrong, a line each; Kind::Runtime where only the machine lacks something.
pub fn open(path: &Path) -> Result<Opened> {
    let Survey { mut found, daemon, network, streams, around } = survey(path);
    let (Some(daemon), Some((loaded, head)), Some(around), 0) = (daemon, network, around, found.count()) else {
        return Err(found.into_error());
    };
    let words = &daemon.engine;
    let devices = match devices(&words.device) {
        Ok((devices, remark)) => {
            if let Some(remark) = remark {
                found.warn("engine.device", remark);
            }
            devices
        }
        Err(fault) => {
            found.lack("engine.device", fault);
            return Err(found.into_error());
        }
    };
    let rtsp = serves(&daemon, &streams).then(|| daemon.rtsp.clone());
    let max_batch = words.max_batch.unwrap_or(if devices == Devices::Cpu { BATCH_PROCESSOR } else { BATCH_CUDA });
    let settings = service::Settings {
        engine: engine::Settings {
            precision: words.precision.unwrap_or_else(|| Precision::fastest(&devices)),
            devices,
            workers: words.workers,
            threads: words.threads,
            attribution: saliency::Settings { methods: words.methods.clone(), ..saliency::Settings::default() },
            head,
            max_residual: words.max_residual,
        },
        max_batch: max_batch.get(),
        max_wait: words.max_wait,
        network: Arc::new(loaded.network),
        labels: loaded.labels,
        http: daemon.http.clone(),
        rtsp: rtsp.clone(),
        streams,
    };
    let level = daemon.level.clone();
    let warnings = found.warnings();
    let configuration = Arc::new(Running { path: path.to_owned(), daemon, around: Surroundings { rtsp: rtsp.is_some(), ..around } });
    Ok(Opened { settings, configuration, level, warnings })
}

/// Opens what the devices need. Faults speak of the key, not of the command line's option.
pub fn devices(asked: &engine::Asked) -> std::result::Result<(engine::Devices, Option<String>), String> {
    asked.open().map_err(|error| {
        let text = told(&error);
        text.strip_prefix(&format!("--device {asked}: ")).unwrap_or(&text).replace("--device cpu", "\"cpu\"")
    })
}

/// The file of a running service.
struct Running {
    path: PathBuf,
    /// As it was at the start.
    daemon: Daemon,
    around: Surroundings,
}

impl Configuration for Running {
    fn reload(&self) -> Result<(Vec<live::Settings>, Vec<String>), Faults> {
        let mut found = Findings::of_file(self.path.clone());
        let Some(file) = parse(&self.path, &mut found) else { return Err(found.into_faults()) };
        let daemon = daemon::read(&file, &self.around.vault, &mut found);
        let streams = streams(&file, Ok(&self.around), &mut found);
        if let Some(daemon) = &daemon {
            ports(daemon, &streams, &mut found);
            if daemon.engine.model != self.daemon.engine.model {
                whole(&daemon.engine.model, &mut found);
            }
        }
        match daemon {
            Some(daemon) if found.count() == 0 => Ok((streams, self.daemon.changes(&daemon))),
            _ => Err(found.into_faults()),
        }
    }

    fn stream(&self, document: &Json) -> Result<live::Settings, Faults> {
        self.of_document(document, None)
    }

    fn change(&self, current: &live::Settings, changes: &Json) -> Result<live::Settings, Faults> {
        let Json::Object(changes) = changes else {
            return Err(Faults(vec!["the document is no table of keys; give one as {\"opacity\": 0.4}".to_owned()]));
        };
        let before = document::of(current);
        if changes.get("name").is_some_and(|name| *name != before["name"]) {
            return Err(Faults(vec!["name: a stream keeps its name; add another and remove this one".to_owned()]));
        }
        let merged = document::changed(before.clone(), changes);
        let mut settings = self.of_document(&merged, Some(&before))?;
        settings.output.preview = current.output.preview.clone();
        Ok(settings)
    }

    fn document(&self, settings: &live::Settings) -> Json {
        document::of(settings)
    }

    fn together(&self, streams: &[&live::Settings]) -> Result<(), Faults> {
        let clashes = stream::clashes(streams);
        let faults = clashes.into_iter().map(|(stream, key, fault)| format!("stream.{}.{key}: {fault}", streams[stream].name));
        let faults: Vec<String> = faults.collect();
        if faults.is_empty() { Ok(()) } else { Err(Faults(faults)) }
    }
}

impl Running {
    fn of_document(&self, document: &Json, before: Option<&Json>) -> Result<live::Settings, Faults> {
        let mut found = Findings::of_document();
        // Without a token whoever reaches the port can write documents: they must not send a secret to a server of their choice.
        if self.daemon.http.token.is_none() {
            let old = before.map(document::powerful).unwrap_or_default();
            for (key, _) in document::powerful(document).into_iter().filter(|part| !old.contains(part)) {
                found.fault(
                    key,
                    "reads a secret's file or is a GStreamer text, which is taken from the file alone while [http] has no token_file",
                );
            }
            if found.count() > 0 {
                return Err(found.into_faults());
            }
        }
        let settings = stream::read(&Node::of_json(document), "", Ok(&self.around), &mut found);
        if let Some(settings) = &settings {
            for (_, key, fault) in stream::clashes(&[settings]) {
                found.fault(&key, fault);
            }
        }
        match settings {
            Some(settings) if found.count() == 0 => Ok(settings),
            _ => Err(found.into_faults()),
        }
    }
}

/// Where a file's secrets and paths are looked for.
fn vault(path: &Path) -> Vault {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    Vault { credentials, folder, work: std::env::current_dir().unwrap_or_default() }
}

fn parse(path: &Path, found: &mut Findings) -> Option<Node> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            found.fault("", format!("cannot be read ({error}); give a file of TOML, docs/configuration.md has an example"));
            return None;
        }
    };
    let (file, faults) = node::of_toml(&text);
    // What follows a broken line may be misread: faults of the form are told alone.
    if !faults.is_empty() {
        for (line, fault) in faults {
            found.fault_at(line, fault);
        }
        return None;
    }
    if let Value::Table(entries) = &file.value {
        let known: Vec<&str> = TOP.iter().map(|(name, _)| *name).chain(["stream"]).collect();
        for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            found.met(&entry.key, entry.line);
            unknown(&entry.key, &entry.key, &known, found);
        }
    }
    Some(file)
}

/// Loads the network, and asks whether it has what the file wants of it.
fn network(daemon: &Daemon, found: &mut Findings) -> Option<(Loaded, Head)> {
    let model = &daemon.engine.model;
    let asked = Asked { model: model.clone(), input_px: None, output: None };
    let loaded = Loaded::load(&asked).map_err(|error| at_model(&error, found)).ok()?;
    if loaded.manifest.is_none() {
        let file = loaded.file.display();
        let fault = format!(
            "{file}: no manifest says how pictures are prepared, and nothing is guessed; write one: gradcast inspect --model {file} --write-manifest"
        );
        found.fault("engine.model", fault);
        return None;
    }
    let head = loaded.head().map_err(|error| at_model(&error, found)).ok()?;
    for method in &daemon.engine.methods {
        if let Err(error) = method.check(&loaded.network) {
            found.fault("engine.methods", told(&error));
        }
    }
    Some((loaded, head))
}

/// The configuration names a network that is not there or not right; a file that is damaged is the machine's.
fn at_model(error: &Error, found: &mut Findings) {
    match error.kind() {
        Kind::Data | Kind::Runtime => found.lack("engine.model", told(error)),
        _ => found.fault("engine.model", told(error)),
    }
}

/// An error with its cause in one line.
pub fn told(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error} ({})", cause.to_string().lines().next().unwrap_or_default()),
        None => error.to_string(),
    }
}

fn surroundings(daemon: &Daemon, loaded: &Loaded, head: &Head, vault: Vault, found: &mut Findings) -> Option<Surroundings> {
    let usual_target = loaded.usual_target().map_err(|error| at_model(&error, found)).ok();
    let preprocessing = loaded.preprocessing(&Given::default()).map_err(|error| at_model(&error, found)).ok();
    Some(Surroundings {
        classes: loaded.classes(head),
        usual_target: usual_target?,
        preprocessing: Arc::new(preprocessing?),
        methods: daemon.engine.methods.clone(),
        pipelines: daemon.pipelines.clone(),
        rtsp: true,
        vault,
    })
}

/// A network that holds from the next start on is at least there and undamaged.
fn whole(model: &str, found: &mut Findings) {
    let verified = catalogue::find(model, &catalogue::folders()).and_then(|network| match network {
        Found::Manifest(manifest) => manifest.verify(),
        Found::Bare(file) => Err(Error::config(format!("{}: no manifest says how pictures are prepared", file.display()))),
    });
    if let Err(error) = verified {
        at_model(&error, found);
    }
}

/// Every `[[stream]]`, each named by its name where it has one of its own.
fn streams(file: &Node, around: std::result::Result<&Surroundings, &Vault>, found: &mut Findings) -> Vec<live::Settings> {
    let Some(node) = file.get("stream") else { return Vec::new() };
    let Value::List(nodes) = &node.value else {
        found.met("stream", node.line);
        found.fault("stream", "is no list of streams; write [[stream]] with two brackets for each");
        return Vec::new();
    };
    let name = |node: &Node| node.get("name").and_then(Node::text).map(str::to_owned);
    let mut seen: Vec<String> = Vec::new();
    let mut streams = Vec::new();
    for (number, node) in nodes.iter().enumerate() {
        let own = name(node).filter(|name| !name.is_empty() && !seen.contains(name) && !name.contains(['.', '[']));
        let at = own.as_ref().map_or_else(|| format!("stream[{}]", number + 1), |name| format!("stream.{name}"));
        let settings = stream::read(node, &at, around, found);
        match name(node) {
            Some(name) if seen.contains(&name) => {
                found.fault(&format!("{at}.name"), format!("{name:?} is another stream's; take another name"));
            }
            Some(name) => {
                seen.push(name);
                streams.extend(settings);
            }
            None => {}
        }
    }
    for (index, key, fault) in stream::clashes(&streams.iter().collect::<Vec<_>>()) {
        found.fault(&format!("stream.{}.{key}", streams[index].name), fault);
    }
    streams
}

/// Whether our own RTSP server is wanted.
pub fn serves(daemon: &Daemon, streams: &[live::Settings]) -> bool {
    daemon.rtsp_given || streams.iter().flat_map(|stream| &stream.output.sinks).any(|sink| matches!(sink.kind, SinkKind::Rtsp { .. }))
}

/// Two servers of one process cannot listen at one port.
fn ports(daemon: &Daemon, streams: &[live::Settings], found: &mut Findings) {
    let (http, rtsp) = (daemon.http.listen, daemon.rtsp.listen);
    let together = http.ip() == rtsp.ip() || http.ip().is_unspecified() || rtsp.ip().is_unspecified();
    if serves(daemon, streams) && http.port() != 0 && http.port() == rtsp.port() && together {
        found.fault(
            if daemon.rtsp_given { "rtsp.listen" } else { "http.listen" },
            format!("port {} is that of [http] and of [rtsp]; give another", rtsp.port()),
        );
    }
}
