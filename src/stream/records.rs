//! `--frames`: a JSON line a frame.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::between::Shown;
use crate::engine::{Class, Explained, Fault, FrameAnswer, Subject};
use crate::error::{Error, Result};
use crate::frame::View;
use crate::overlay::{Caption, Region, share};

/// Labels of classes by index, and their spelling in reports.
#[derive(Debug, Clone, Default)]
pub struct Labels(pub Vec<String>);

impl Labels {
    /// The label, or the index where there is none.
    pub fn name(&self, index: usize) -> String {
        self.0.get(index).cloned().unwrap_or_else(|| index.to_string())
    }

    /// A class for JSON.
    pub fn json(&self, class: &Class) -> Value {
        json!({ "label": self.name(class.index), "index": class.index, "probability": class.probability })
    }

    /// What is explained, in words.
    pub fn words(&self, explained: &Explained) -> String {
        let class = usize::try_from(explained.index).map_or_else(|_| "nothing".to_owned(), |index| self.name(index));
        match explained.subject {
            Subject::Class | Subject::Cell => class,
            Subject::Top(count) => format!("top {count}"),
            Subject::Cells { threshold, .. } => format!("cells of {class} above {threshold}"),
        }
    }

    /// What is explained, for JSON; `cells` says how many were summed, where cells were.
    pub fn explained_json(&self, explained: &Explained) -> Value {
        let mut target = json!({ "label": self.words(explained), "index": explained.index, "probability": explained.probability });
        if let Subject::Cells { count, .. } = explained.subject {
            target["cells"] = json!(count);
        }
        target
    }

    /// A caption that says what is explained, by which method and how exactly.
    pub fn caption(&self, answer: &FrameAnswer, method: &str) -> Caption {
        let target = &answer.target;
        let words = self.words(target);
        let left = match target.subject {
            Subject::Cells { count, .. } => format!("{words}: {count}, best {:.0} %", target.probability * 100.0),
            _ => format!("{words} {:.0} %", target.probability * 100.0),
        };
        let right = match answer.fault {
            Some(Fault::Nan) => "no map: NaN".to_owned(),
            Some(Fault::Infinite) => "no map: infinite".to_owned(),
            Some(Fault::Residual) => format!("fault: residual {:.1e}", answer.residual),
            None => format!("{method}, residual {:.1e}", answer.residual),
        };
        Caption { left, right }
    }
}

/// Writes the lines.
pub(super) struct Records {
    path: PathBuf,
    file: BufWriter<File>,
    regions: Vec<Region>,
}

impl Records {
    pub fn create(path: &Path, regions: Vec<Region>) -> Result<Self> {
        let file = File::create(path).map_err(|error| unwritable(path, error))?;
        Ok(Records { path: path.to_owned(), file: BufWriter::new(file), regions })
    }

    /// One line: time, leading classes, target, method, residual, fault, regions. A frame that was not explained itself carries those of the
    /// frame whose
    /// explanation it shows; its regions are of the map it shows.
    pub fn write(&mut self, shown: &Shown, view: &View, labels: &Labels, method: &str) -> Result<()> {
        let answer = &shown.answer;
        let finite = shown.map.iter().all(|value| value.is_finite());
        let regions: Map<String, Value> = self
            .regions
            .iter()
            .map(|region| {
                // A map that is not finite has no shares.
                let share = finite.then(|| share(&shown.map, answer.width, answer.height, view, region));
                (region.name.clone(), json!(share))
            })
            .collect();
        let line = json!({
            "pts_ns": shown.frame.pts.as_nanos() as u64,
            "explained": shown.explained,
            "classes": answer.leading.iter().map(|class| labels.json(class)).collect::<Vec<_>>(),
            "target": labels.explained_json(&answer.target),
            "method": method,
            "residual": answer.residual,
            "fault": answer.fault.map(Fault::name),
            "regions": regions,
        });
        writeln!(self.file, "{line}").map_err(|error| unwritable(&self.path, error))
    }

    pub fn finish(mut self) -> Result<()> {
        self.file.flush().map_err(|error| unwritable(&self.path, error))
    }
}

fn unwritable(path: &Path, error: std::io::Error) -> Error {
    Error::runtime(format!("{}: cannot be written; is there such a folder, and room on the disk?", path.display())).with_source(error)
}
