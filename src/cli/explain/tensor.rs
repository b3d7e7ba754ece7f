//! `explain --tensor`: exact numbers for scripts and tests.

use std::path::Path;
use std::sync::Arc;

use tch::{Kind, Tensor};

use super::Args;
use crate::cli::loading::{class_target, engine_settings, load_network};
use crate::cli::options::InputSize;
use crate::engine::{Choice, Engine, Precision, Task};
use crate::error::{Error, Result};
use crate::saliency::{Explanation, Target};
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
    let settings = engine_settings(&args.compute, &args.target, Precision::F32);
    let rule = class_target(&args.target, &loaded)?;
    let mut engine = Engine::start(&loaded.network, &settings)?;
    let all = Tensor::f_from_slice(&input.input)?.f_view(input.shape.map(|size| size as i64))?;
    let batch = args.compute.batch.get();
    let mut parts = Vec::new();
    for first in (0..count).step_by(batch) {
        let length = batch.min(count - first);
        let target = match &input.target {
            Some(targets) => Target::Each(targets[first..first + length].to_vec()),
            None => rule.clone(),
        };
        let images = all.f_narrow(0, first as i64, length as i64)?;
        parts.push(engine.submit(Task::Explain, &images, &[], &Arc::new(Choice::Fixed(target)))?.wait()?);
    }
    save(to, &parts)
}

fn save(path: &Path, parts: &[Explanation]) -> Result<()> {
    let join = |part: fn(&Explanation) -> &Tensor| -> Result<PlainTensor> {
        plain(&Tensor::f_cat(&parts.iter().map(part).collect::<Vec<_>>(), 0)?)
    };
    let target: Vec<i64> = parts.iter().flat_map(|part| part.target.iter().copied()).collect();
    let tensors = [
        ("logits", join(|e| &e.logits)?),
        ("target", PlainTensor { shape: vec![target.len()], elements: Elements::I64(target) }),
        ("value", join(|e| &e.value)?),
        ("map", join(|e| &e.map)?),
        ("input_term", join(|e| &e.input_term)?),
        ("bias_term_total", join(|e| &e.bias_term_total)?),
        ("residual", join(|e| &e.residual)?),
    ];
    tensor_file::write(path, &tensors)
}

/// A tensor of f32 or f64 as plain numbers.
pub fn plain(tensor: &Tensor) -> Result<PlainTensor> {
    let flat = tensor.f_contiguous()?.f_view([-1])?;
    let elements = match tensor.kind() {
        Kind::Double => Elements::F64(Vec::try_from(flat)?),
        _ => Elements::F32(Vec::try_from(flat.f_to_kind(Kind::Float)?)?),
    };
    Ok(PlainTensor { shape: tensor.size().iter().map(|&size| size as usize).collect(), elements })
}
