//! What is explained of each picture, held fast: copies of a picture are explained for what the picture itself is.

use tch::{Kind, Tensor};

use super::target::{Selected, Target};
use crate::error::Result;

/// What was chosen for a batch of pictures.
pub struct Aim {
    target: Target,
    /// The class of each image; -1 where f is no single class's.
    pub indices: Vec<i64>,
}

impl Aim {
    /// Chooses by the output (N, ...) of the pictures themselves.
    pub fn take(target: Target, output: &Tensor) -> Result<(Self, Selected)> {
        let selected = wide(target.select(output)?)?;
        Ok((Aim { target, indices: selected.indices.clone() }, selected))
    }

    /// The same of the output (k, ...) of copies of picture `image`.
    pub fn copies(&self, image: usize, output: &Tensor) -> Result<Selected> {
        wide(held(&self.target, self.indices[image]).select(output)?)
    }
}

/// f, and what f itself adds to the bias terms, in f64.
fn wide(selected: Selected) -> Result<Selected> {
    let bias = selected.bias.map(|bias| bias.f_to_kind(Kind::Double)).transpose()?;
    Ok(Selected { value: selected.value.f_to_kind(Kind::Double)?, bias, ..selected })
}

/// The target with the class that was chosen in place of a rule that chooses one. What a copy chooses anew, cells and the largest scores
/// of a sum, is a part of the function that is explained.
fn held(target: &Target, class: i64) -> Target {
    match target {
        Target::Argmax | Target::Index(_) | Target::Each(_) => Target::Index(class),
        Target::In(cells, rule) => Target::In(cells.clone(), Box::new(held(rule, class))),
        Target::Top(_) | Target::Above { .. } => target.clone(),
    }
}
