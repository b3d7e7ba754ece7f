//! Dense heads: an output that has scores of all classes in every cell of the picture.

use tch::{Kind, Tensor};

use super::target::{Selected, Target, repeated};
use crate::error::{Error, Result};

/// Where a dense output, (N, C, h, w), (N, C, A) or (N, A, C), has its class scores. All axes but N and C are cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cells {
    /// The axis of C; N is axis 0.
    pub axis: usize,
    /// Index on C of the first class.
    pub classes: usize,
    /// Number of classes.
    pub count: usize,
    /// Index on C of what each class score of a cell is multiplied by: whether there is an object at all.
    pub objectness: Option<usize>,
}

impl Cells {
    /// Scores (N, K, A) of an output: A cells in row-major order; a class's score in a cell is multiplied by the cell's objectness.
    ///
    /// # Errors
    /// Kind::Data where the output has no such axis or too few channels.
    pub fn scores(&self, output: &Tensor) -> Result<Tensor> {
        let classes = self.channels(output, self.classes, self.count)?;
        match self.objectness {
            Some(at) => Ok(classes.f_mul(&self.channels(output, at, 1)?)?),
            None => Ok(classes),
        }
    }

    /// The scores (N, K) of the classes' best cells, and which cells they are, (N, K); the first of equals.
    pub fn best(&self, output: &Tensor) -> Result<(Tensor, Tensor)> {
        Ok(self.scores(output)?.f_max_dim(2, false)?)
    }

    /// In how many cells of each image the class is above the threshold.
    pub fn count_above(&self, output: &Tensor, class: i64, threshold: f64) -> Result<Vec<i64>> {
        let above = self.scores(output)?.f_select(1, class)?.f_gt(threshold)?;
        Ok(Vec::try_from(above.f_sum_dim_intlist([1].as_slice(), false, Kind::Int64)?.f_to_device(tch::Device::Cpu)?)?)
    }

    /// What a rule for classes, or [`Target::Above`], chooses of an output; `grad` is like the output.
    pub(super) fn select(&self, target: &Target, output: &Tensor) -> Result<Selected> {
        let scores = self.scores(output)?;
        let Selected { value, grad, indices, .. } = match *target {
            Target::Above { class, threshold } => above(&scores, class, threshold)?,
            _ => {
                let (best, cells) = scores.f_max_dim(2, true)?;
                let selected = target.of_scores(&best.f_squeeze_dim(2)?)?;
                Selected { grad: scores.f_zeros_like()?.f_scatter(2, &cells, &selected.grad.f_unsqueeze(2)?)?, ..selected }
            }
        };
        let mut whole = output.f_zeros_like()?;
        match self.objectness {
            Some(at) => {
                // Both factors of a score get their share.
                let (classes, objectness) = (self.channels(output, self.classes, self.count)?, self.channels(output, at, 1)?);
                self.put(&mut whole, self.classes, &grad.f_mul(&objectness)?)?;
                let share = grad.f_mul(&classes)?.f_sum_dim_intlist([1].as_slice(), true, grad.kind())?;
                self.put(&mut whole, at, &share)?;
            }
            None => self.put(&mut whole, self.classes, &grad)?,
        }
        // A product of two has each factor's share once: a b - (b a + a b) = -a b.
        let bias = self.objectness.map(|_| value.f_neg()).transpose()?;
        Ok(Selected { value, grad: whole, bias, indices })
    }

    /// `count` channels of an output from `first` on, as (N, count, A).
    fn channels(&self, output: &Tensor, first: usize, count: usize) -> Result<Tensor> {
        let size = output.size();
        let there = if self.axis == 0 { 0 } else { size.get(self.axis).copied().unwrap_or(0) };
        if size.len() < 3 || there < (first + count) as i64 {
            return Err(Error::data(format!(
                "the output has shape {size:?}; [output.cells] of the manifest wants channels {first} to {} on axis {}",
                first + count - 1,
                self.axis
            )));
        }
        let channels = output.f_narrow(self.axis as i64, first as i64, count as i64)?;
        Ok(channels.f_movedim_int(self.axis as i64, 1)?.f_reshape([size[0], count as i64, -1])?)
    }

    /// Writes (N, count, A) where [`Cells::channels`] takes it from.
    fn put(&self, output: &mut Tensor, first: usize, values: &Tensor) -> Result<()> {
        let mut place = output.f_narrow(self.axis as i64, first as i64, values.size()[1])?.f_movedim_int(self.axis as i64, 1)?;
        let size = place.size();
        place.f_copy_(&values.f_reshape(size.as_slice())?)?;
        Ok(())
    }
}

/// The sum of a class's scores above the threshold, of scores (N, K, A).
fn above(scores: &Tensor, class: i64, threshold: f64) -> Result<Selected> {
    let [_, classes, _] = scores.size()[..] else { unreachable!("scores have three axes") };
    if !(0..classes).contains(&class) {
        return Err(Error::usage(format!("target {class} is outside the network's {classes} classes")));
    }
    let of_class = scores.f_narrow(1, class, 1)?;
    let mask = of_class.f_gt(threshold)?;
    let counted = of_class.f_masked_fill(&mask.f_logical_not()?, 0.0)?;
    let grad = scores.f_zeros_like()?;
    grad.f_narrow(1, class, 1)?.f_copy_(&mask.f_to_kind(scores.kind())?)?;
    Ok(Selected {
        value: counted.f_sum_dim_intlist([1, 2].as_slice(), false, scores.kind())?,
        grad,
        bias: None,
        indices: repeated(class, scores)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    fn flat(tensor: &Tensor) -> Vec<f64> {
        Vec::try_from(tensor.to_kind(Kind::Double).flatten(0, -1)).expect("numbers")
    }

    /// One picture of 1 x 3 cells with objectness, a box value and two classes.
    fn output() -> Tensor {
        Tensor::from_slice(&[0.5f64, 1.0, 0.0, 9.0, 9.0, 9.0, 0.25, 0.5, 1.0, 1.0, 0.25, 1.0]).view([1, 4, 1, 3])
    }

    const CELLS: Cells = Cells { axis: 1, classes: 2, count: 2, objectness: Some(0) };

    fn select(cells: &Cells, target: Target, output: &Tensor) -> Selected {
        Target::In(cells.clone(), Box::new(target)).select(output).expect("selected")
    }

    #[test]
    fn the_best_cell_of_a_class_and_the_first_of_equals() {
        assert_eq!(flat(&CELLS.scores(&output()).expect("scores")), [0.125, 0.5, 0.0, 0.5, 0.25, 0.0]);
        let first = select(&CELLS, Target::Index(0), &output());
        assert_eq!((flat(&first.value), flat(&first.indices)), (vec![0.5], vec![0.0]));
        // d(objectness * class): the class's score by objectness, objectness by the class's score, both in the second cell.
        assert_eq!(flat(&first.grad), [0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(flat(&select(&CELLS, Target::Argmax, &output()).indices), [0.0], "both classes have 0.5");
        let without = Cells { objectness: None, ..CELLS };
        let second = select(&without, Target::Index(1), &output());
        assert_eq!(flat(&second.grad), [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0], "the first of two cells with 1");
    }

    #[test]
    fn cells_above_a_threshold_are_summed_and_none_gives_zero() {
        let both = select(&CELLS, Target::Above { class: 1, threshold: 0.2 }, &output());
        assert_eq!((flat(&both.value), flat(&both.indices)), (vec![0.75], vec![1.0]));
        assert_eq!(flat(&both.grad), [1.0, 0.25, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 1.0, 0.0]);
        assert_eq!(CELLS.count_above(&output(), 1, 0.2).expect("counted"), [2]);
        let none = select(&CELLS, Target::Above { class: 1, threshold: 0.5 }, &output());
        assert_eq!((flat(&none.value), flat(&none.grad)), (vec![0.0], vec![0.0; 12]), "0.5 is not above 0.5");
    }

    #[test]
    fn the_layout_does_not_matter() {
        for target in [Target::Argmax, Target::Top(2), Target::Index(1), Target::Above { class: 0, threshold: 0.1 }] {
            let first = select(&CELLS, target.clone(), &output());
            let last = select(&Cells { axis: 2, ..CELLS }, target.clone(), &output().view([1, 4, 3]).transpose(1, 2));
            let middle = select(&CELLS, target, &output().view([1, 4, 3]));
            assert_eq!(flat(&first.value), flat(&last.value));
            assert_eq!(flat(&first.grad), flat(&last.grad.transpose(1, 2)));
            assert_eq!(flat(&first.grad), flat(&middle.grad));
        }
    }

    #[test]
    fn the_derivative_is_that_of_automatic_differentiation() {
        let x = Tensor::randn([2, 7, 3, 5], (Kind::Double, Device::Cpu)).set_requires_grad(true);
        let whole = Cells { axis: 1, classes: 3, count: 4, objectness: Some(1) };
        let targets = [Target::Argmax, Target::Top(3), Target::Each(vec![2, 0]), Target::Above { class: 3, threshold: 0.3 }];
        for (target, objectness) in targets.into_iter().flat_map(|target| [(target.clone(), Some(1)), (target, None)]) {
            let cells = Cells { objectness, ..whole };
            let selected = select(&cells, target.clone(), &x.detach());
            let linear = (&selected.grad * x.detach()).sum_dim_intlist([1, 2, 3].as_slice(), false, Kind::Double);
            let bias = selected.bias.unwrap_or_else(|| selected.value.zeros_like());
            assert!((linear + bias - &selected.value).abs().max().double_value(&[]) < 1e-12, "f = <df/dy, y> + b");
            let value = select(&cells, target, &x).value;
            let wanted = Tensor::run_backward(&[value.sum(Kind::Double)], &[&x], false, false).remove(0);
            assert!((&wanted - &selected.grad).abs().max().double_value(&[]) < 1e-12);
        }
    }

    #[test]
    fn an_output_of_another_form_is_refused() {
        for shape in [vec![1, 4], vec![1, 3, 1, 3], vec![1, 3, 9]] {
            let output = Tensor::zeros(shape.as_slice(), (Kind::Float, Device::Cpu));
            assert!(CELLS.scores(&output).expect_err("refused").to_string().contains("[output.cells]"));
        }
    }
}
