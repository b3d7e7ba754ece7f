//! `gradcast check --config`: everything that would go wrong at a start, all at once. Nothing is started, and no camera is asked.

use std::collections::BTreeMap;
use std::path::Path;

use super::machine::{self, Fault};
use crate::config::{self, Daemon, Survey};
use crate::error::{Error, Kind, Result};
use crate::stream::live;
use crate::video;
use crate::video::live::texts;

/// What is told, and what of it is wrong.
#[derive(Default)]
struct Report {
    text: String,
    /// Of the configuration.
    wrong: usize,
    /// Of the machine.
    missing: usize,
}

impl Report {
    fn part(&mut self, name: &str) {
        self.text += &format!("{name}\n");
    }

    fn line(&mut self, mark: &str, text: &str) {
        self.text += &format!("  {mark:<8} {text}\n");
    }

    fn ok(&mut self, text: &str) {
        self.line("ok", text);
    }

    fn missing(&mut self, text: &str) {
        self.missing += 1;
        self.line("MISSING", text);
    }

    fn wrong(&mut self, text: &str) {
        self.wrong += 1;
        self.line("WRONG", text);
    }

    /// Something of the machine that is as it should be, or not.
    fn found(&mut self, found: Result<String, Fault>) {
        match found {
            Ok(text) => self.ok(&text),
            Err(Fault(text)) => self.missing(&text),
        }
    }
}

/// Checks a configuration on this machine.
pub fn run(path: &Path) -> Result<()> {
    let Survey { found, daemon, network, streams, .. } = config::survey(path);
    let mut report = Report::default();
    report.part(&format!("configuration {}", path.display()));
    let (wrong, lacks) = found.faults();
    if wrong.is_empty() && lacks.is_empty() {
        report.ok(&match streams.len() {
            1 => "1 stream".to_owned(),
            count => format!("{count} streams"),
        });
    }
    wrong.iter().for_each(|line| report.wrong(line));
    lacks.iter().for_each(|line| report.missing(line));
    found.warnings().iter().for_each(|line| report.line("WARNING", line));
    if let (Some(daemon), Some((loaded, _))) = (&daemon, &network) {
        report.part("network");
        let checked = loaded.manifest.as_ref().is_some_and(|manifest| manifest.sha256.is_some());
        let sum = if checked { "SHA-256 as its manifest has it" } else { "no SHA-256 in its manifest; the file is not checked" };
        report.ok(&format!("{}: {}, {sum}, {} labels", daemon.engine.model, loaded.file.display(), loaded.labels.len()));
    }
    if let Some(daemon) = &daemon {
        report.part("device");
        report.found(machine::device(&daemon.engine.device));
        report.part("ports");
        let rtsp = config::serves(daemon, &streams).then_some(daemon.rtsp.listen);
        machine::ports(daemon.http.listen, rtsp, &streams).into_iter().for_each(|port| report.found(port));
        pipelines(daemon, &mut report);
    }
    if !streams.is_empty() {
        gstreamer(&streams, &mut report);
        let places: Vec<_> = streams.iter().flat_map(machine::places).collect();
        if !places.is_empty() {
            report.part("files and folders");
            places.into_iter().for_each(|place| report.found(place));
        }
    }
    super::super::print(&report.text)?;
    let things = |count: usize| if count == 1 { "1 thing is".to_owned() } else { format!("{count} things are") };
    match (report.wrong, report.missing) {
        (0, 0) => Ok(()),
        (0, missing) => Err(Error::runtime(format!("{} missing here; the lines above that begin with MISSING say which", things(missing)))),
        (wrong, _) => Err(Error::new(
            Kind::Config,
            format!("{}: {} wrong; the lines above that begin with WRONG say what and where", path.display(), things(wrong)),
        )),
    }
}

/// The operator's own pipelines.
fn pipelines(daemon: &Daemon, report: &mut Report) {
    let Some(folder) = &daemon.pipelines else { return };
    report.part(&format!("pipelines {}", folder.display()));
    match texts::try_folder(folder) {
        Ok(tried) => {
            for (path, result) in &tried {
                let name = path.file_name().unwrap_or_default().display();
                match result {
                    Ok(()) => report.ok(&name.to_string()),
                    Err(fault) => report.wrong(&format!("{}: {fault}", path.display())),
                }
            }
            if tried.is_empty() {
                report.ok("none; those that are built in are used");
            }
        }
        Err(error) => report.wrong(&error.to_string()),
    }
}

/// Elements that these streams need, with who needs them, and encoders.
fn gstreamer(streams: &[live::Settings], report: &mut Report) {
    report.part(&video::version());
    let mut lacking: BTreeMap<texts::Lacking, Vec<String>> = BTreeMap::new();
    let mut needed = 0;
    for stream in streams {
        let source = ("source".to_owned(), texts::source_lacks(&stream.source));
        let sinks = stream
            .output
            .sinks
            .iter()
            .map(|sink| (format!("sink {}", sink.name), texts::sink_lacks(&sink.kind, stream.output.pipelines.as_deref())));
        for (part, asked) in std::iter::once(source).chain(sinks) {
            match asked {
                Ok((count, lacks)) => {
                    needed += count;
                    for lack in lacks {
                        lacking.entry(lack).or_default().push(format!("{}'s {part}", stream.name));
                    }
                }
                Err(error) => report.wrong(&error.to_string()),
            }
        }
    }
    if lacking.is_empty() {
        report.ok(&format!("all of {needed} elements that sources and sinks need"));
    }
    for (lack, who) in &lacking {
        report.missing(&format!("{} ({}); Debian package {}", lack.element, who.join(", "), lack.package));
    }
    let mut packages: Vec<&str> = lacking.keys().map(|lack| lack.package).collect();
    packages.sort_unstable();
    packages.dedup();
    if !packages.is_empty() {
        report.line("to do", &format!("sudo apt-get install {}", packages.join(" ")));
    }
    let mut asked: Vec<Option<&str>> = streams.iter().map(|stream| stream.output.encoder.as_deref()).collect();
    asked.sort_unstable();
    asked.dedup();
    for encoder in asked {
        report.found(machine::encoder(encoder));
    }
}
