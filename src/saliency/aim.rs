//! What is explained of each picture, held fast: copies of a picture are explained for what the picture itself is.

use tch::{Device, Kind, Tensor};

use super::target::{Selected, Target};
use crate::error::Result;

/// What was chosen for a batch of pictures.
pub struct Aim {
    target: Target,
    /// The class of each image; -1 where f is no single class's.
    pub indices: Vec<i64>,
}

impl Aim {
    /// Chooses by the output (N, ...) of the pictures themselves; a device is waited for.
    pub fn take(target: Target, output: &Tensor) -> Result<(Self, Selected)> {
        let selected = choose(&target, output)?;
        let indices = Vec::try_from(selected.indices.f_to_device(Device::Cpu)?)?;
        Ok((Aim { target, indices }, selected))
    }

    /// The same of the output (k, ...) of copies of picture `image`.
    pub fn copies(&self, image: usize, output: &Tensor) -> Result<Selected> {
        choose(&held(self.target.of(image), self.indices[image]), output)
    }
}

/// What the target chooses of an output; f, and what f itself adds to the bias terms, in f64.
pub fn choose(target: &Target, output: &Tensor) -> Result<Selected> {
    let selected = target.select(output)?;
    let bias = selected.bias.map(|bias| bias.f_to_kind(Kind::Double)).transpose()?;
    Ok(Selected { value: selected.value.f_to_kind(Kind::Double)?, bias, ..selected })
}

/// The target with the class that was chosen in place of a rule that chooses one. What a copy chooses anew, cells and the largest scores
/// of a sum, is a part of the function that is explained.
fn held(target: &Target, class: i64) -> Target {
    match target {
        Target::Argmax | Target::Index(_) | Target::Each(_) => Target::Index(class),
        Target::In(cells, rule) => Target::In(cells.clone(), Box::new(held(rule, class))),
        Target::Top(_) | Target::Above { .. } | Target::Mixed(_) => target.clone(),
    }
}
