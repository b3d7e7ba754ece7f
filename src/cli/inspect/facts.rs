//! A network's facts, for the table and for JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::config::model::Loaded;
use crate::network::op::Shape;
use crate::network::plan::term_places;
use crate::network::structure::Network;

/// Longest name for which the columns after it are moved to the right.
const WIDEST_NAME: usize = 44;

/// The input or a node.
struct Row {
    name: String,
    op: &'static str,
    inputs: Vec<String>,
    outputs: Vec<(String, Shape)>,
    parameters: usize,
    macs: u64,
    /// "input", "bias" or nothing.
    term: Option<&'static str>,
    spatial: bool,
}

/// All that `inspect` tells of a network.
pub struct Facts<'a> {
    loaded: &'a Loaded,
    rows: Vec<Row>,
}

impl<'a> Facts<'a> {
    /// Of a loaded network.
    pub fn of(loaded: &'a Loaded) -> Self {
        let network = &loaded.network;
        let value = |&index: &usize| (network.values[index].name.clone(), network.values[index].shape.clone());
        let places = term_places(network);
        let input = Row {
            name: network.values[0].name.clone(),
            op: "Input",
            inputs: Vec::new(),
            outputs: vec![value(&0)],
            parameters: 0,
            macs: 0,
            term: Some("input"),
            spatial: places[0].spatial,
        };
        let steps = network.steps.iter().zip(&places[1..]).map(|(step, place)| {
            let rules = step.op.rules();
            let shapes: Vec<Shape> = step.outputs.iter().map(|&output| network.values[output].shape.clone()).collect();
            Row {
                name: step.name.clone(),
                op: rules.name(),
                inputs: step.inputs.iter().map(|&input| network.values[input].name.clone()).collect(),
                outputs: step.outputs.iter().map(value).collect(),
                parameters: rules.parameters(),
                macs: rules.macs(&network.input_shapes(step), &shapes),
                term: place.term.then_some("bias"),
                spatial: place.spatial,
            }
        });
        Facts { loaded, rows: std::iter::once(input).chain(steps).collect() }
    }

    fn network(&self) -> &Network {
        &self.loaded.network
    }

    fn terms(&self) -> usize {
        self.rows.iter().filter(|row| row.term.is_some()).count()
    }

    fn map_terms(&self) -> usize {
        self.rows.iter().filter(|row| row.term.is_some() && row.spatial).count()
    }

    /// A value's shape with the batch in front: N where it is free.
    fn shape(&self, shape: &[usize]) -> String {
        let batch = self.network().fixed_batch.map_or_else(|| "N".to_owned(), |batch| batch.to_string());
        let sizes: Vec<String> = shape.iter().skip(1).map(usize::to_string).collect();
        format!("({})", [vec![batch], sizes].concat().join(", "))
    }

    /// The same for JSON: null where the batch is free.
    fn json_shape(&self, shape: &[usize]) -> Value {
        let batch = self.network().fixed_batch;
        shape.iter().enumerate().map(|(axis, &size)| if axis == 0 { json!(batch) } else { json!(size) }).collect()
    }

    /// One JSON object.
    pub fn json(&self) -> Value {
        let network = self.network();
        let nodes: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                let outputs = row.outputs.iter().map(|(name, shape)| json!({ "name": name, "shape": self.json_shape(shape) }));
                json!({
                    "name": row.name,
                    "op": row.op,
                    "inputs": row.inputs,
                    "outputs": outputs.collect::<Vec<_>>(),
                    "parameters": row.parameters,
                    "macs": row.macs,
                    "term": row.term,
                    "spatial": row.spatial,
                })
            })
            .collect();
        let output = &network.values[network.output];
        json!({
            "model": self.loaded.model,
            "file": self.loaded.file.display().to_string(),
            "graph": network.name,
            "manifest": self.loaded.manifest,
            "input": { "name": network.values[0].name, "shape": self.json_shape(network.input_shape()) },
            "output": { "name": output.name, "shape": self.json_shape(&output.shape), "labels": self.loaded.labels.len() },
            "nodes": nodes,
            "parameters": network.parameters(),
            "macs": network.macs(),
            "gflops": gflops(network),
            "terms": self.terms(),
            "map_terms": self.map_terms(),
            "notes": network.notes,
        })
    }

    /// The same for people.
    pub fn text(&self) -> String {
        let network = self.network();
        let output = &network.values[network.output];
        let mut text = format!("{}: {}\n", self.loaded.model, self.loaded.file.display());
        line(&mut text, format_args!("input     {} {}", network.values[0].name, self.shape(network.input_shape())));
        let labels = match self.loaded.labels.len() {
            0 => "no labels known".to_owned(),
            count => format!("{count} labels"),
        };
        line(&mut text, format_args!("output    {} {}, {labels}", output.name, self.shape(&output.shape)));
        self.manifest(&mut text);
        text.push('\n');
        self.table(&mut text);
        text.push('\n');
        line(
            &mut text,
            format_args!(
                "{} nodes, {} parameters, {}FLOPs a picture forward ({}MACs)",
                network.steps.len(),
                count(network.parameters() as f64).trim_end(),
                count(2.0 * network.macs() as f64),
                count(network.macs() as f64)
            ),
        );
        line(&mut text, format_args!("{} terms, the input's among them; {} of them are in the map", self.terms(), self.map_terms()));
        for note in &network.notes {
            line(&mut text, format_args!("note: {note}"));
        }
        text
    }

    fn manifest(&self, text: &mut String) {
        let Some(manifest) = &self.loaded.manifest else {
            line(text, format_args!("manifest  none: for pictures and video give --colour, --mean and --std, or --write-manifest"));
            return;
        };
        let sha256 = if manifest.sha256.is_some() { "sha256 is right" } else { "no sha256: the file is not checked" };
        let licence = manifest.licence.as_deref().unwrap_or("not told");
        line(text, format_args!("manifest  {sha256}; licence {licence}"));
        if let Some(source) = &manifest.source {
            line(text, format_args!("          source: {source}"));
        }
        let input = &manifest.input;
        line(
            text,
            format_args!(
                "          pictures: {}, white {}, mean {:?}, std {:?}, fit {}",
                lower(input.colour),
                input.scale,
                input.mean,
                input.std,
                lower(input.fit)
            ),
        );
        let output = &manifest.output;
        if let Some(target) = &output.target {
            line(text, format_args!("          target: {target}"));
        }
        if let Some(cells) = &output.cells {
            let count = cells.count.map_or_else(|| "all".to_owned(), |count| count.to_string());
            let objectness = cells.objectness.map_or_else(|| "no objectness".to_owned(), |at| format!("objectness {at}"));
            line(
                text,
                format_args!("          cells: channels on axis {}, {count} classes from {}, {objectness}", cells.axis, cells.classes),
            );
        }
        if let Some(probability) = output.probability {
            line(text, format_args!("          probability: {}", lower(probability)));
        }
    }

    fn table(&self, text: &mut String) {
        let name_width = self.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0).clamp(4, WIDEST_NAME);
        let op_width = self.rows.iter().map(|row| row.op.len()).max().unwrap_or(0).max(2);
        let shapes: Vec<String> = self.rows.iter().map(|row| self.shape(&row.outputs[0].1)).collect();
        let shape_width = shapes.iter().map(String::len).max().unwrap_or(0).max(6);
        line(
            text,
            format_args!(
                "{:name_width$}  {:op_width$}  {:shape_width$}  {:>10}  {:>13}  {:5}  spatial",
                "node", "op", "output", "parameters", "MACs", "term"
            ),
        );
        for (row, shape) in self.rows.iter().zip(&shapes) {
            line(
                text,
                format_args!(
                    "{:name_width$}  {:op_width$}  {shape:shape_width$}  {:>10}  {:>13}  {:5}  {}",
                    row.name,
                    row.op,
                    row.parameters,
                    row.macs,
                    row.term.unwrap_or("none"),
                    if row.spatial { "yes" } else { "no" }
                ),
            );
        }
    }
}

/// 10^9 floating-point operations of a forward pass for one picture: a multiplication and an addition for each MAC.
fn gflops(network: &Network) -> f64 {
    2.0 * network.macs() as f64 / 1e9
}

/// A large number with its prefix, as it stands before a unit.
fn count(number: f64) -> String {
    match number {
        n if n >= 1e8 => format!("{:.2} G", n / 1e9),
        n if n >= 1e5 => format!("{:.2} M", n / 1e6),
        n if n >= 1e3 => format!("{:.2} k", n / 1e3),
        n => format!("{n} "),
    }
}

/// A manifest's word.
fn lower(word: impl std::fmt::Debug) -> String {
    format!("{word:?}").to_lowercase()
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    text.write_fmt(line).expect("writing to a string cannot fail");
    text.push('\n');
}
