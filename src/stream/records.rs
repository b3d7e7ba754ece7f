//! `--frames`: a JSON line a frame.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::between::Shown;
use crate::engine::{Class, FrameAnswer};
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

    /// A caption that says what is explained, by which method and how exactly.
    pub fn caption(&self, answer: &FrameAnswer, method: &str) -> Caption {
        Caption {
            left: format!("{} {:.0} %", self.name(answer.target.index), answer.target.probability * 100.0),
            right: format!("{method}, residual {:.1e}", answer.residual),
        }
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

    /// One line: time, leading classes, target, method, residual, regions. A frame that was not explained itself carries those of the frame whose
    /// explanation it shows; its regions are of the map it shows.
    pub fn write(&mut self, shown: &Shown, view: &View, labels: &Labels, method: &str) -> Result<()> {
        let answer = &shown.answer;
        let regions: Map<String, Value> = self
            .regions
            .iter()
            .map(|region| (region.name.clone(), json!(share(&shown.map, answer.width, answer.height, view, region))))
            .collect();
        let line = json!({
            "pts_ns": shown.frame.pts.as_nanos() as u64,
            "explained": shown.explained,
            "classes": answer.leading.iter().map(|class| labels.json(class)).collect::<Vec<_>>(),
            "target": labels.json(&answer.target),
            "method": method,
            "residual": answer.residual,
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
