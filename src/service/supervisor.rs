//! All streams of a process: added, changed and removed while the others go on.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use serde_json::Value;

use super::member::Member;
use super::operations::{Feed, Offer, Operations, Refused};
use super::settings::{Configuration, Faults};
use super::state::{Readiness, StreamState};
use crate::engine;
use crate::overlay::ColourMap;
use crate::stream::live::{self, Parts};
use crate::telemetry::{CounterFamily, Registry};

/// What becomes of a reload.
const RELOADS: [&str; 2] = ["ok", "refused"];

/// See the module.
pub(super) struct Supervisor {
    configuration: Arc<dyn Configuration>,
    registry: Registry,
    families: live::Families,
    reloads: CounterFamily,
    /// The engine's.
    pub meters: engine::Meters,
    pub parts: Parts,
    members: RwLock<Vec<Arc<Member>>>,
    /// Held by who adds, changes or removes: one after another.
    orders: Mutex<()>,
    phase: AtomicU8,
    /// What the watchdog found last.
    pub alive: AtomicBool,
}

/// How far the process is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    Starting,
    Running,
    Draining,
}

impl Supervisor {
    pub fn new(configuration: Arc<dyn Configuration>, registry: Registry, meters: engine::Meters, parts: Parts) -> Self {
        let families = live::Families::register(&registry, &meters);
        let reloads = registry.counters("config_reloads_total", "Reloads of the configuration, by outcome.", &["outcome"]);
        for outcome in RELOADS {
            reloads.with(&[outcome]);
        }
        Supervisor {
            configuration,
            registry,
            families,
            reloads,
            meters,
            parts,
            members: RwLock::default(),
            orders: Mutex::default(),
            phase: AtomicU8::new(Phase::Starting as u8),
            alive: AtomicBool::new(true),
        }
    }

    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::SeqCst);
    }

    fn is(&self, phase: Phase) -> bool {
        self.phase.load(Ordering::SeqCst) == phase as u8
    }

    /// All streams, in order.
    pub fn members(&self) -> Vec<Arc<Member>> {
        self.members.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn member(&self, name: &str) -> Option<Arc<Member>> {
        self.members().into_iter().find(|member| member.name == name)
    }

    fn edit(&self, change: impl FnOnce(&mut Vec<Arc<Member>>)) {
        change(&mut self.members.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Starts a stream at the end of the list.
    pub fn begin(&self, settings: live::Settings, of_file: bool) -> Result<Arc<Member>, Refused> {
        let member = Member::start(settings, of_file, &self.parts, &self.families);
        let member = Arc::new(member.map_err(|error| Refused::Faults(Faults(vec![error.to_string()])))?);
        self.edit(|members| members.push(Arc::clone(&member)));
        Ok(member)
    }

    /// Brings a stream to other settings: in flight where that can be, else by an end and a new beginning at its place.
    fn bring(&self, member: &Arc<Member>, settings: live::Settings, of_file: bool) -> Result<(), Refused> {
        if member.change(&settings) {
            return Ok(());
        }
        self.end(member);
        let started = Member::start(settings, of_file, &self.parts, &self.families).map(Arc::new);
        self.edit(|members| {
            let Some(at) = members.iter().position(|known| Arc::ptr_eq(known, member)) else { return };
            match &started {
                Ok(new) => members[at] = Arc::clone(new),
                Err(_) => drop(members.remove(at)),
            }
        });
        started.map(|_| ()).map_err(|error| Refused::Faults(Faults(vec![error.to_string()])))
    }

    fn end(&self, member: &Member) {
        let ended = member.stop();
        if !ended() {
            tracing::error!(stream = %member.name, "the stream does not end and is left behind");
        }
        member.withdraw();
    }

    /// Ends all streams, side by side.
    pub fn end_all(&self) {
        let members = self.members();
        let endings: Vec<_> = members.iter().map(|member| (member, member.stop())).collect();
        for (member, ended) in endings {
            if !ended() {
                tracing::error!(stream = %member.name, "the stream does not end and is left behind");
            }
        }
    }

    fn document(&self, settings: &live::Settings) -> Value {
        self.configuration.document(settings)
    }

    fn state_of(&self, member: &Member) -> Option<StreamState> {
        member.state(|settings| self.document(settings))
    }

    /// One after another gives orders, and only while the service runs.
    fn order(&self) -> Result<MutexGuard<'_, ()>, Refused> {
        let guard = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is(Phase::Running) { Ok(guard) } else { Err(Refused::NotNow) }
    }

    /// Refuses settings that cannot run side by side with the other streams.
    fn beside_others(&self, settings: &live::Settings) -> Result<(), Refused> {
        let mut all: Vec<live::Settings> =
            self.members().iter().filter(|member| member.name != settings.name).filter_map(|member| member.settings()).collect();
        all.push(settings.clone());
        self.configuration.together(&all.iter().collect::<Vec<_>>()).map_err(Refused::Faults)
    }

    fn told(&self, name: &str) -> Result<StreamState, Refused> {
        self.state(name).ok_or(Refused::Unknown)
    }

    /// Streams of the file are brought to what it says now; those that came over HTTP stay.
    fn reload_whole(&self) -> Result<Vec<String>, Faults> {
        let _order = self.order().map_err(|_| Faults(vec!["the service is starting or ending".to_owned()]))?;
        let (wanted, remarks) = self.configuration.reload()?;
        let members = self.members();
        let taken = |name: &str| members.iter().any(|member| !member.of_file && member.name == name);
        let clashes: Vec<String> = wanted.iter().filter(|settings| taken(&settings.name)).map(|settings| settings.name.clone()).collect();
        if !clashes.is_empty() {
            let fault =
                |name: String| format!("stream {name}: a stream of this name was added over HTTP: remove that one, or rename this one");
            return Err(Faults(clashes.into_iter().map(fault).collect()));
        }
        let over_http: Vec<live::Settings> =
            members.iter().filter(|member| !member.of_file).filter_map(|member| member.settings()).collect();
        self.configuration.together(&over_http.iter().chain(&wanted).collect::<Vec<_>>())?;
        let mut faults = Vec::new();
        for member in members.iter().filter(|member| member.of_file && wanted.iter().all(|settings| settings.name != member.name)) {
            self.end(member);
            self.edit(|members| members.retain(|known| !Arc::ptr_eq(known, member)));
            tracing::info!(stream = %member.name, "stream removed");
        }
        for settings in wanted {
            let name = settings.name.clone();
            let done = match members.iter().find(|member| member.name == name) {
                Some(member) if member.settings().is_some_and(|own| own == settings) => Ok(()),
                Some(member) => self.bring(member, settings, true),
                None => self.begin(settings, true).map(drop),
            };
            if let Err(Refused::Faults(refused)) = done {
                faults.extend(refused.0.into_iter().map(|fault| format!("stream {name}: {fault}")));
            }
        }
        if faults.is_empty() { Ok(remarks) } else { Err(Faults(faults)) }
    }
}

impl Operations for Supervisor {
    fn states(&self) -> Vec<StreamState> {
        self.members().iter().filter_map(|member| self.state_of(member)).collect()
    }

    fn state(&self, name: &str) -> Option<StreamState> {
        self.member(name).and_then(|member| self.state_of(&member))
    }

    fn add(&self, document: &Value) -> Result<StreamState, Refused> {
        let _order = self.order()?;
        let settings = self.configuration.stream(document).map_err(Refused::Faults)?;
        if self.member(&settings.name).is_some() {
            return Err(Refused::Exists);
        }
        self.beside_others(&settings)?;
        let member = self.begin(settings, false)?;
        self.told(&member.name)
    }

    fn change(&self, name: &str, changes: &Value) -> Result<StreamState, Refused> {
        let _order = self.order()?;
        let member = self.member(name).ok_or(Refused::Unknown)?;
        let current = member.settings().ok_or(Refused::Unknown)?;
        let settings = self.configuration.change(&current, changes).map_err(Refused::Faults)?;
        if settings.name != name {
            return Err(Refused::Faults(Faults(vec!["name: a stream keeps its name; add another and remove this one".to_owned()])));
        }
        self.beside_others(&settings)?;
        self.bring(&member, settings, member.of_file)?;
        self.told(name)
    }

    fn remove(&self, name: &str) -> Result<(), Refused> {
        let _order = self.order()?;
        let member = self.member(name).ok_or(Refused::Unknown)?;
        self.end(&member);
        self.edit(|members| members.retain(|known| !Arc::ptr_eq(known, &member)));
        tracing::info!(stream = %name, "stream removed");
        Ok(())
    }

    fn reload(&self) -> Result<Vec<String>, Faults> {
        let done = self.reload_whole();
        match &done {
            Ok(remarks) => {
                self.reloads.with(&["ok"]).inc();
                tracing::info!("configuration reloaded");
                remarks.iter().for_each(|remark| tracing::warn!("{remark}"));
            }
            Err(faults) => {
                self.reloads.with(&["refused"]).inc();
                faults.0.iter().for_each(|fault| tracing::error!("configuration refused: {fault}"));
            }
        }
        done
    }

    fn readiness(&self) -> Readiness {
        let why = match () {
            () if self.is(Phase::Starting) => Some("starting"),
            () if self.is(Phase::Draining) => Some("draining"),
            () if !self.parts.batcher.is_turning() => Some("the engine has lost its workers and is started anew"),
            () => None,
        };
        Readiness { ready: why.is_none(), why: why.map(str::to_owned) }
    }

    fn healthy(&self) -> bool {
        self.alive.load(Ordering::SeqCst)
    }

    fn metrics(&self) -> String {
        self.registry.text()
    }

    fn offer(&self) -> Offer {
        Offer {
            methods: self.parts.methods.iter().map(ToString::to_string).collect(),
            colour_maps: ColourMap::ALL.iter().map(ToString::to_string).collect(),
            labels: self.parts.labels.0.clone(),
        }
    }

    fn preview(&self, name: &str) -> Option<Feed> {
        self.member(name).map(|member| member.look())
    }
}
