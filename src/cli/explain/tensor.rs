//! `explain --tensor`: exact numbers for scripts and tests.

use std::path::Path;
use std::sync::Arc;

use super::Args;
use super::terms::Terms;
use crate::cli::loading::{self, engine_settings, load_network};
use crate::cli::options::InputSize;
use crate::engine::{Batch, Choice, Engine, Fault, Numbers, Precision, Task};
use crate::error::{Error, Result};
use crate::saliency::Target;
use crate::tensor_file::{self, Elements, PlainTensor};

/// Explains the tensor `input` of a file, batch by batch, and writes all results.
pub fn run(args: &Args, from: &Path, to: &Path) -> Result<()> {
    if to.exists() && !args.force {
        return Err(Error::usage(format!("{}: is there already; --force replaces it", to.display())));
    }
    let input = tensor_file::read_input(from)?;
    let [count, channels, rows, columns] = input.shape;
    let size = InputSize { width_px: columns, height_px: rows };
    let loaded = load_network(&args.network, Some(size))?;
    let wanted = &loaded.network.input_shape()[1..];
    if wanted != [channels, rows, columns] {
        return Err(Error::data(format!(
            "{}: `input` is {channels} x {rows} x {columns} an image, the network takes {} x {} x {}",
            from.display(),
            wanted[0],
            wanted[1],
            wanted[2]
        )));
    }
    let head = loaded.head()?;
    let rule = loading::rule(&args.target, &loaded, &head)?;
    let mut settings = engine_settings(&args.compute, &args.target, |_| Precision::F32)?;
    settings.workers = args.pool.workers;
    settings.head = head;
    settings.max_residual = args.faults.max_residual;
    let terms = args.terms.as_deref().map(|path| Terms::plan(path, &[from, to], args.force)).transpose()?;
    let mut engine = Engine::start(&loaded.network, &settings)?;
    let image = channels * rows * columns;
    let batch = args.compute.batch.get();
    let mut parts = Vec::new();
    for first in (0..count).step_by(batch) {
        let length = batch.min(count - first);
        let target = match &input.target {
            Some(targets) => Target::Each(targets[first..first + length].to_vec()),
            None => rule.clone(),
        };
        let pixels = input.input[first * image..(first + length) * image].to_vec();
        let images = Batch { pixels, times: Vec::new() };
        parts.push(engine.submit(Task::Explain, &images, &Arc::new(Choice::Fixed(target)))?.numbers()?);
    }
    if let Some(told) = crate::cli::told(engine.record().counts()) {
        eprintln!("{told}");
    }
    save(to, &parts)?;
    if let Some(mut terms) = terms {
        let all = parts.iter().flat_map(|part| &part.terms);
        all.enumerate().for_each(|(image, of_image)| terms.add(&image.to_string(), engine.sites(), of_image));
        terms.write(&loaded.model)?;
    }
    tell_faults(&parts);
    Ok(())
}

/// Tells on standard error which images' numbers have a fault; the numbers stay as they are.
fn tell_faults(parts: &[Numbers]) {
    let faults: Vec<(usize, Fault)> =
        parts.iter().flat_map(|part| &part.faults).enumerate().filter_map(|(image, fault)| Some((image, (*fault)?))).collect();
    if let Some((image, fault)) = faults.first() {
        let images = parts.iter().map(|part| part.faults.len()).sum::<usize>();
        eprintln!("numeric faults in {} of {images} images; the first is image {image}: {fault}", faults.len());
    }
}

fn save(path: &Path, parts: &[Numbers]) -> Result<()> {
    let join = |part: fn(&Numbers) -> &PlainTensor| PlainTensor::join(&parts.iter().map(part).collect::<Vec<_>>());
    let target: Vec<i64> = parts.iter().flat_map(|part| part.target.iter().copied()).collect();
    let tensors = [
        ("logits", join(|n| &n.logits)),
        ("target", PlainTensor { shape: vec![target.len()], elements: Elements::I64(target) }),
        ("value", join(|n| &n.value)),
        ("map", join(|n| &n.map)),
        ("input_term", join(|n| &n.input_term)),
        ("bias_term_total", join(|n| &n.bias_term_total)),
        ("residual", join(|n| &n.residual)),
    ];
    tensor_file::write(path, &tensors)
}
