//! `gradcast check`: what is there and what is missing.

mod configuration;
mod machine;

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::thread;

use crate::config::model::DEFAULT_NETWORK;
use crate::engine::cuda::{self, Card};
use crate::error::{Error, Result};
use crate::network::catalogue;
use crate::network::manifest::Manifest;
use crate::video::inventory::{self, Inventory};

/// Show what is there, and what is missing with the package that has it
///
/// GStreamer's elements, libtorch, the processor and CUDA devices, and the networks that --model finds by name. With --config everything that would go wrong with that file at a start, all at once. Ends with exit code 1 when something is missing, with 78 when the configuration is wrong.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Check this configuration of the daemon: the file itself, its network, devices, elements, encoders, ports, folders, files, secrets and pipelines [default: check the machine alone].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  gradcast check
  gradcast check && gradcast overlay drive.mp4 -o drive.saliency.mp4
  gradcast check --config /etc/gradcast/gradcast.toml";

/// Processor features that decide how fast a network runs, as Linux names them.
const PROCESSOR_FEATURES: [&str; 9] = ["avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "asimd"];

/// Checks this machine.
pub fn run(args: Args) -> Result<()> {
    if let Some(path) = &args.config {
        return configuration::run(path);
    }
    let mut report = String::new();
    let mut missing = elements(&mut report, &inventory::take()?);
    libtorch(&mut report);
    missing += cuda(&mut report, cuda::cards().map_err(|error| error.to_string()), || {
        cuda::open_library().map(|path| (path, cuda::device_count())).map_err(|error| error.to_string())
    });
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
    // Nothing is wrong with a machine that only overlays files.
    for element in &inventory.missing_live {
        line(
            report,
            format_args!("  none     {} ({}), for live streams; Debian package {}", element.name, element.purpose, element.package),
        );
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
    if let Some(path) = cuda::libtorch() {
        line(report, format_args!("  ok       {}", path.display()));
    }
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let known = processor_features(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default());
    line(report, format_args!("  ok       processor: {cores} cores, {}", if known.is_empty() { "features unknown" } else { &known }));
}

/// A machine without an NVIDIA card lacks nothing; one with a card and without libtorch's CUDA part does not use it.
fn cuda(report: &mut String, cards: Result<&[Card], String>, open: impl FnOnce() -> Result<(PathBuf, usize), String>) -> usize {
    line(report, format_args!("CUDA"));
    let cards = match cards {
        Ok(cards) if !cards.is_empty() => cards,
        Ok(_) => {
            line(report, format_args!("  none     the NVIDIA driver shows no card; the processor computes"));
            return 0;
        }
        Err(why) => {
            line(report, format_args!("  none     {why}; the processor computes"));
            return 0;
        }
    };
    for (number, card) in cards.iter().enumerate() {
        let (major, minor) = card.capability;
        let gib = card.memory_bytes as f64 / f64::from(1 << 30);
        line(report, format_args!("  ok       cuda:{number}: {}, {gib:.0} GiB, compute capability {major}.{minor}", card.name));
    }
    match open() {
        Ok((path, count)) if count == cards.len() => {
            line(report, format_args!("  ok       {}", path.display()));
            0
        }
        Ok((path, count)) => {
            line(
                report,
                format_args!("  WRONG    {}: sees {count} of {} cards; is the driver older than its CUDA?", path.display(), cards.len()),
            );
            1
        }
        Err(why) => {
            line(report, format_args!("  MISSING  {why}"));
            1
        }
    }
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
    use crate::video::inventory::{ELEMENTS, LIVE};

    #[test]
    fn a_missing_element_comes_with_its_package_and_one_command() {
        let named = |name: &str| *ELEMENTS.iter().find(|element| element.name == name).expect("an element of the list");
        let missing = vec![named("x264enc"), named("qtdemux"), named("mp4mux")];
        let mut report = String::new();
        let inventory =
            Inventory { version: "GStreamer 1.22.0".to_owned(), there: vec![named("appsrc")], missing, missing_live: vec![LIVE[0]] };
        assert_eq!(elements(&mut report, &inventory), 3);
        assert!(
            report.contains("  none     rtspsrc (RTSP cameras), for live streams; Debian package gstreamer1.0-plugins-good\n"),
            "{report}"
        );
        assert!(report.contains("  MISSING  x264enc (writing H.264); Debian package gstreamer1.0-plugins-ugly\n"), "{report}");
        assert!(report.ends_with("  to do    sudo apt-get install gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly\n"), "{report}");
    }

    #[test]
    fn a_card_without_libtorch_s_part_is_something_missing() {
        let card = Card { name: "Card".to_owned(), memory_bytes: 80 << 30, capability: (9, 0) };
        let told = |cards: Result<&[Card], String>, open: Result<(PathBuf, usize), String>| {
            let mut report = String::new();
            (cuda(&mut report, cards, || open), report)
        };
        let cards = std::slice::from_ref(&card);
        let (missing, report) = told(Ok(cards), Ok((PathBuf::from("/a/libtorch_cuda.so"), 1)));
        assert_eq!(missing, 0);
        assert_eq!(report, "CUDA\n  ok       cuda:0: Card, 80 GiB, compute capability 9.0\n  ok       /a/libtorch_cuda.so\n");
        let (missing, report) = told(Ok(cards), Ok((PathBuf::from("/a/libtorch_cuda.so"), 0)));
        assert!(missing == 1 && report.contains("  WRONG    /a/libtorch_cuda.so: sees 0 of 1 cards"), "{report}");
        let (missing, report) = told(Ok(cards), Err("it cannot be opened".to_owned()));
        assert!(missing == 1 && report.contains("  MISSING  it cannot be opened\n"), "{report}");
        let (missing, report) = told(Err("no driver".to_owned()), Err(String::new()));
        assert_eq!((missing, report.as_str()), (0, "CUDA\n  none     no driver; the processor computes\n"));
        assert_eq!(told(Ok(&[]), Err(String::new())).0, 0);
    }

    #[test]
    fn processor_features_are_read_on_both_architectures() {
        assert_eq!(processor_features("processor : 0\nflags\t\t: fpu avx2 amx_bf16 fma\n"), "avx2 fma amx_bf16");
        assert_eq!(processor_features("Features\t: fp asimd\n"), "asimd");
        assert_eq!(processor_features(""), "");
    }
}
