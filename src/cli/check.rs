//! `gradcast check`: what is there and what is missing.

use std::fmt::Write;
use std::fs;
use std::thread;

use super::options::network::DEFAULT_NETWORK;
use crate::error::{Error, Result};
use crate::network::catalogue;
use crate::network::manifest::Manifest;
use crate::video::inventory::{self, Inventory};

/// Show what is there, and what is missing with the package that has it
///
/// GStreamer's elements, libtorch and the processor, and the networks that --model finds by name. Ends with exit code 1 when something is missing.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {}

const EXAMPLES: &str = "\
Examples:
  gradcast check
  gradcast check && gradcast overlay drive.mp4 -o drive.saliency.mp4";

/// Processor features that decide how fast a network runs, as Linux names them.
const PROCESSOR_FEATURES: [&str; 9] = ["avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "asimd"];

/// Checks this machine.
pub fn run(_args: Args) -> Result<()> {
    let mut report = String::new();
    let mut missing = elements(&mut report, &inventory::take()?);
    libtorch(&mut report);
    missing += networks(&mut report);
    super::print(&report)?;
    match missing {
        0 => Ok(()),
        1 => Err(Error::runtime("one thing is missing or wrong; its line above begins with MISSING or WRONG")),
        n => Err(Error::runtime(format!("{n} things are missing or wrong; their lines above begin with MISSING or WRONG"))),
    }
}

fn line(report: &mut String, text: std::fmt::Arguments<'_>) {
    report.write_fmt(text).expect("writing to a string cannot fail");
    report.push('\n');
}

fn elements(report: &mut String, inventory: &Inventory) -> usize {
    line(report, format_args!("{}", inventory.version));
    line(report, format_args!("  ok       {} of {} elements", inventory.there.len(), inventory.there.len() + inventory.missing.len()));
    for element in &inventory.missing {
        line(report, format_args!("  MISSING  {} ({}); Debian package {}", element.name, element.purpose, element.package));
    }
    let mut packages: Vec<&str> = inventory.missing.iter().map(|element| element.package).collect();
    packages.sort_unstable();
    packages.dedup();
    if !packages.is_empty() {
        line(report, format_args!("  to do    sudo apt-get install {}", packages.join(" ")));
    }
    inventory.missing.len()
}

/// The program does not start without libtorch, so that nothing can be missing here.
fn libtorch(report: &mut String) {
    line(report, format_args!("libtorch {}", option_env!("GRADCAST_LIBTORCH_VERSION").unwrap_or("of unknown version")));
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    if let Some(path) = maps.lines().filter_map(|line| line.find('/').map(|at| &line[at..])).find(|path| path.ends_with("libtorch_cpu.so"))
    {
        line(report, format_args!("  ok       {path}"));
    }
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let known = processor_features(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default());
    line(report, format_args!("  ok       processor: {cores} cores, {}", if known.is_empty() { "features unknown" } else { &known }));
}

fn processor_features(cpuinfo: &str) -> String {
    let flags = cpuinfo.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        ["flags", "Features"].contains(&key.trim()).then_some(value)
    });
    let flags: Vec<&str> = flags.unwrap_or_default().split_whitespace().collect();
    PROCESSOR_FEATURES.into_iter().filter(|feature| flags.contains(feature)).collect::<Vec<_>>().join(" ")
}

fn networks(report: &mut String) -> usize {
    let folders = catalogue::folders();
    let found = catalogue::list(&folders);
    let mut faults = 0;
    line(report, format_args!("networks"));
    for (name, path) in &found {
        match Manifest::read(path).and_then(|manifest| manifest.verify().and_then(|()| manifest.labels()).map(|_| manifest)) {
            Ok(manifest) if manifest.sha256.is_some() => line(report, format_args!("  ok       {name}: {}", path.display())),
            Ok(_) => line(report, format_args!("  ok       {name}: {} (no sha256 in it; the file is not checked)", path.display())),
            Err(error) => {
                faults += 1;
                line(report, format_args!("  WRONG    {name}: {error}"));
            }
        }
    }
    if !found.iter().any(|(name, _)| name == DEFAULT_NETWORK) {
        faults += 1;
        let searched = folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ");
        line(
            report,
            format_args!("  MISSING  {DEFAULT_NETWORK}, the default; searched: {searched}; set GRADCAST_MODELS to the folder that has it"),
        );
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::video::inventory::ELEMENTS;

    #[test]
    fn a_missing_element_comes_with_its_package_and_one_command() {
        let named = |name: &str| *ELEMENTS.iter().find(|element| element.name == name).expect("an element of the list");
        let missing = vec![named("x264enc"), named("qtdemux"), named("mp4mux")];
        let mut report = String::new();
        let inventory = Inventory { version: "GStreamer 1.22.0".to_owned(), there: vec![named("appsrc")], missing };
        assert_eq!(elements(&mut report, &inventory), 3);
        assert!(report.contains("  MISSING  x264enc (writing H.264); Debian package gstreamer1.0-plugins-ugly\n"), "{report}");
        assert!(report.ends_with("  to do    sudo apt-get install gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly\n"), "{report}");
    }

    #[test]
    fn processor_features_are_read_on_both_architectures() {
        assert_eq!(processor_features("processor : 0\nflags\t\t: fpu avx2 amx_bf16 fma\n"), "avx2 fma amx_bf16");
        assert_eq!(processor_features("Features\t: fp asimd\n"), "asimd");
        assert_eq!(processor_features(""), "");
    }
}
