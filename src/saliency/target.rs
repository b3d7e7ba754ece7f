//! Which scalar of the output is explained.

use tch::{Kind, Tensor};

use crate::error::{Error, Result};

/// The class whose logit is explained, for each image of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The largest logit of each image.
    Argmax,
    /// The same class for all.
    Index(i64),
    /// One class an image.
    Each(Vec<i64>),
}

impl Target {
    /// The class indices (N,) for logits (N, K).
    ///
    /// # Errors
    /// Kind::Data where an index is outside the output or there are not N of them; Kind::Usage for a class given on the command line.
    pub fn indices(&self, logits: &Tensor) -> Result<Vec<i64>> {
        let [batch, classes] = logits.size()[..] else {
            return Err(Error::data(format!("the output has shape {:?}; class scores (N, K) are expected", logits.size())));
        };
        let inside = |index: &i64| (0..classes).contains(index);
        match self {
            Target::Argmax => Ok(Vec::try_from(logits.f_argmax(1, false)?.f_to_device(tch::Device::Cpu)?)?),
            Target::Index(index) if inside(index) => Ok(vec![*index; batch as usize]),
            Target::Index(index) => Err(Error::usage(format!("target {index} is outside the network's {classes} classes"))),
            Target::Each(indices) if indices.len() as i64 != batch => {
                Err(Error::data(format!("{} targets are given for {batch} images", indices.len())))
            }
            Target::Each(indices) => match indices.iter().find(|index| !inside(index)) {
                Some(index) => Err(Error::data(format!("target {index} is outside the network's {classes} classes"))),
                None => Ok(indices.clone()),
            },
        }
    }
}

/// f for each image (N,), and df/d logits (N, K): one at the target.
pub(super) fn seed(logits: &Tensor, indices: &[i64]) -> Result<(Tensor, Tensor)> {
    let index = Tensor::f_from_slice(indices)?.f_to_device(logits.device())?.f_unsqueeze(1)?;
    let value = logits.f_gather(1, &index, false)?.f_squeeze_dim(1)?;
    let grad = logits.f_zeros_like()?.f_scatter_value(1, &index, 1.0)?;
    Ok((value, grad))
}

/// Softmax of logits (N, K), in f32.
pub fn probabilities(logits: &Tensor) -> Result<Tensor> {
    Ok(logits.f_to_kind(Kind::Float)?.f_softmax(-1, Kind::Float)?)
}
