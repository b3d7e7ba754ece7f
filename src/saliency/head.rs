//! What the numbers of an output mean: class scores or cells of them, and how probable a score is.

use tch::{Kind, Tensor};

use super::cells::Cells;
use super::target::{Target, class_scores};
use crate::error::Result;

/// How a score becomes the probability that is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Probability {
    /// One class of all is right: softmax of the scores, of a dense head in each cell.
    #[default]
    Softmax,
    /// Each class is right or not by itself: the sigmoid of its score.
    Sigmoid,
    /// The score itself.
    Score,
}

/// An output's meaning.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Head {
    /// Where a dense output has its class scores; `None` for class scores (N, K).
    pub cells: Option<Cells>,
    /// How a score becomes a probability.
    pub probability: Probability,
}

impl Head {
    /// A rule for classes, made one for this output.
    pub fn target(&self, rule: Target) -> Target {
        match &self.cells {
            Some(cells) => Target::In(cells.clone(), Box::new(rule)),
            None => rule,
        }
    }

    /// True where what is explained has a term of its own: where it is a product of two numbers of the output.
    pub fn has_bias(&self) -> bool {
        self.cells.as_ref().is_some_and(|cells| cells.objectness.is_some())
    }

    /// The probability of each class (N, K), in f32; in a dense head that of its most probable cell.
    ///
    /// # Errors
    /// Kind::Data where the output is of another form.
    pub fn probabilities(&self, output: &Tensor) -> Result<Tensor> {
        let output = output.f_to_kind(Kind::Float)?;
        let scores = match &self.cells {
            Some(cells) => cells.scores(&output)?,
            None => class_scores(&output)?.f_unsqueeze(2)?,
        };
        let probable = match self.probability {
            Probability::Softmax => scores.f_softmax(1, Kind::Float)?,
            Probability::Sigmoid => scores.f_sigmoid()?,
            Probability::Score => scores,
        };
        Ok(probable.f_amax([2].as_slice(), false)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_by_its_most_probable_cell() {
        let output = Tensor::from_slice(&[0.0f32, 4.0, 0.0, 4.0]).view([1, 2, 2]);
        let cells = Some(Cells { axis: 1, classes: 0, count: 2, objectness: None });
        let of = |cells: &Option<Cells>, probability, output: &Tensor| -> Vec<f32> {
            let head = Head { cells: cells.clone(), probability };
            Vec::try_from(head.probabilities(output).expect("probabilities").flatten(0, -1)).expect("numbers")
        };
        assert_eq!(of(&cells, Probability::Softmax, &output), [0.5, 0.5], "both classes are alike in each cell");
        assert_eq!(of(&cells, Probability::Score, &output), [4.0, 4.0]);
        let classes = Tensor::from_slice(&[0.0f32, 0.0]).view([1, 2, 1, 1]);
        assert_eq!(of(&None, Probability::Softmax, &classes), [0.5, 0.5]);
        assert_eq!(of(&None, Probability::Sigmoid, &classes), [0.5, 0.5]);
    }
}
