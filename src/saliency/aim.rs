//! What is explained of each picture, held fast: copies of a picture are explained for what the picture itself is.

use tch::{Kind, Tensor};

use super::target::{self, Target};
use crate::error::Result;

/// The classes chosen for a batch of pictures.
pub struct Aim {
    /// One an image.
    pub indices: Vec<i64>,
}

impl Aim {
    /// Chooses by the output (N, ...) of the pictures themselves; gives f, (N,) in f64, and df/d output too.
    pub fn take(target: &Target, output: &Tensor) -> Result<(Self, Tensor, Tensor)> {
        let aim = Aim { indices: target.indices(output)? };
        let (value, grad) = target::seed(output, &aim.indices)?;
        Ok((aim, value.f_to_kind(Kind::Double)?, grad))
    }

    /// f, (k,) in f64, and df/d output for the output (k, ...) of copies of picture `image`.
    pub fn copies(&self, image: usize, output: &Tensor) -> Result<(Tensor, Tensor)> {
        let (value, grad) = target::seed(output, &vec![self.indices[image]; output.size()[0] as usize])?;
        Ok((value.f_to_kind(Kind::Double)?, grad))
    }
}
