//! Which scalar of the output is explained: f, chosen when the output is known, and its derivative by the output.

use std::ops::Range;

use tch::{Kind, Tensor};

use super::cells::Cells;
use crate::error::{Error, Result};

/// The scalar that is explained, for each image of a batch.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// The largest score of each image.
    Argmax,
    /// The score of the same class for all.
    Index(i64),
    /// The score of one class an image.
    Each(Vec<i64>),
    /// The sum of so many largest scores. Which they are is chosen at the forward pass; each then counts once.
    Top(i64),
    /// The sum of a class's scores over the cells in which it is above the threshold; zero, with a derivative of zero, where it is so in
    /// none. Has a meaning only inside [`Target::In`].
    Above {
        /// The class.
        class: i64,
        /// Scores above it count.
        threshold: f64,
    },
    /// The same in a dense head, where the score of a class is that of its best cell.
    In(Cells, Box<Target>),
    /// A target of its own for each image: images of several streams in one batch.
    Mixed(Vec<Target>),
}

/// What a target chose of a batch's output.
#[derive(Debug)]
pub struct Selected {
    /// f, (N,), in f64 where the output is, else in f32.
    pub value: Tensor,
    /// df/d output: in shape, precision and device as the output.
    pub grad: Tensor,
    /// f - <df/d output, output>, (N,): what f itself adds to the bias terms. `None` where it is zero: where f is linear in what it chose.
    pub bias: Option<Tensor>,
    /// The class of each image, (N,) in i64 where the output is; -1 where f is no single class's.
    pub indices: Tensor,
}

impl Target {
    /// f and its derivative for an output (N, ...).
    ///
    /// # Errors
    /// Kind::Data where the output is of another form, or classes of [`Target::Each`] are not N or outside it; Kind::Usage for a class or
    /// a count that was given on the command line.
    pub fn select(&self, output: &Tensor) -> Result<Selected> {
        let wide = if output.kind() == Kind::Double { Kind::Double } else { Kind::Float };
        let values = output.f_to_kind(wide)?;
        let selected = match self {
            Target::In(cells, target) => cells.select(target, &values)?,
            Target::Mixed(targets) => return mixed(targets, output),
            target => {
                let selected = target.of_scores(&class_scores(&values)?)?;
                Selected { grad: selected.grad.f_view(output.size().as_slice())?, ..selected }
            }
        };
        Ok(Selected { grad: selected.grad.f_to_kind(output.kind())?, ..selected })
    }

    /// f of scores (N, K), its derivative by them, and the classes.
    pub(super) fn of_scores(&self, scores: &Tensor) -> Result<Selected> {
        let [batch, classes] = scores.size()[..] else { unreachable!("scores have two axes") };
        let inside = |index: &i64| (0..classes).contains(index);
        let outside = |index: i64| format!("target {index} is outside the network's {classes} classes");
        let indices = match self {
            Target::Argmax => scores.f_argmax(1, false)?,
            Target::Index(index) if inside(index) => repeated(*index, scores)?,
            Target::Index(index) => return Err(Error::usage(outside(*index))),
            Target::Each(indices) if indices.len() as i64 != batch => {
                return Err(Error::data(format!("{} targets are given for {batch} images", indices.len())));
            }
            Target::Each(indices) => match indices.iter().find(|index| !inside(index)) {
                Some(index) => return Err(Error::data(outside(*index))),
                // A device takes numbers out of plain memory without being waited for.
                None => Tensor::f_from_slice(indices)?.f_internal_to_copy((Kind::Int64, scores.device()), true)?,
            },
            Target::Top(count) if !(1..=classes).contains(count) => {
                return Err(Error::usage(format!("the target is the sum of {count} classes, the network has {classes}")));
            }
            Target::Top(count) => {
                let (largest, which) = scores.f_topk(*count, 1, true, false)?;
                let value = largest.f_sum_dim_intlist([1].as_slice(), false, scores.kind())?;
                let grad = scores.f_zeros_like()?.f_scatter_value(1, &which, 1.0)?;
                return Ok(Selected { value, grad, bias: None, indices: repeated(-1, scores)? });
            }
            Target::Above { .. } => {
                return Err(Error::usage("cells above a threshold are explained, and the network's output has no cells"));
            }
            Target::In(..) | Target::Mixed(_) => unreachable!("what chooses among scores is a rule for classes"),
        };
        let index = indices.f_unsqueeze(1)?;
        let value = scores.f_gather(1, &index, false)?.f_squeeze_dim(1)?;
        let grad = scores.f_zeros_like()?.f_scatter_value(1, &index, 1.0)?;
        Ok(Selected { value, grad, bias: None, indices })
    }

    /// The target of one image.
    pub fn of(&self, image: usize) -> &Self {
        match self {
            Target::Mixed(targets) => &targets[image],
            target => target,
        }
    }

    /// The target for some of the images.
    pub fn part(&self, images: Range<usize>) -> Self {
        match self {
            Target::Each(indices) => Target::Each(indices.get(images).unwrap_or_default().to_vec()),
            Target::In(cells, target) => Target::In(cells.clone(), Box::new(target.part(images))),
            Target::Mixed(targets) => Target::Mixed(targets.get(images).unwrap_or_default().to_vec()),
            target => target.clone(),
        }
    }
}

/// Each image by its own target.
fn mixed(targets: &[Target], output: &Tensor) -> Result<Selected> {
    let images = output.size()[0];
    if targets.len() as i64 != images {
        return Err(Error::data(format!("{} targets are given for {images} images", targets.len())));
    }
    let each = targets.iter().zip(0..).map(|(target, image)| target.select(&output.f_narrow(0, image, 1)?));
    let each: Vec<Selected> = each.collect::<Result<_>>()?;
    let cat = |part: fn(&Selected) -> &Tensor| -> Result<Tensor> { Ok(Tensor::f_cat(&each.iter().map(part).collect::<Vec<_>>(), 0)?) };
    // Whether f has a bias is the head's matter, and all images have the same head.
    let biases: Vec<&Tensor> = each.iter().filter_map(|selected| selected.bias.as_ref()).collect();
    let bias = if biases.is_empty() { None } else { Some(Tensor::f_cat(&biases, 0)?) };
    Ok(Selected { value: cat(|s| &s.value)?, grad: cat(|s| &s.grad)?, bias, indices: cat(|s| &s.indices)? })
}

/// The index for each of N images, beside their scores (N, ...).
pub(super) fn repeated(index: i64, scores: &Tensor) -> Result<Tensor> {
    Ok(Tensor::f_full([scores.size()[0]], index, (Kind::Int64, scores.device()))?)
}

/// The scores (N, K) of a classifier's output: axes of size one behind K are left out.
///
/// # Errors
/// Kind::Data where the output is of another form.
pub(super) fn class_scores(output: &Tensor) -> Result<Tensor> {
    match output.size()[..] {
        [batch] => Ok(output.f_reshape([batch, 1])?),
        [batch, classes, ref rest @ ..] if rest.iter().all(|&size| size == 1) => Ok(output.f_reshape([batch, classes])?),
        _ => Err(Error::data(format!(
            "the output has shape {:?}; class scores (N, K) are expected, or a manifest that says in [output.cells] how a dense output is laid out",
            output.size()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind as Fault;
    use tch::Device;

    fn select(target: &Target, output: &Tensor) -> (Vec<f64>, Vec<f64>, Vec<i64>) {
        let Selected { value, grad, indices, .. } = target.select(output).expect("selected");
        assert_eq!((grad.size(), grad.kind()), (output.size(), output.kind()));
        let flat = |tensor: Tensor| Vec::try_from(tensor.to_kind(Kind::Double).flatten(0, -1)).expect("numbers");
        (flat(value), flat(grad), Vec::try_from(indices).expect("indices"))
    }

    #[test]
    fn one_class_and_the_first_of_equals() {
        let output = Tensor::from_slice(&[1.0f32, 3.0, 3.0, -1.0, -2.0, -4.0]).view([2, 3]);
        assert_eq!(select(&Target::Argmax, &output), (vec![3.0, -1.0], vec![0.0, 1.0, 0.0, 1.0, 0.0, 0.0], vec![1, 0]));
        assert_eq!(select(&Target::Index(2), &output.view([2, 3, 1, 1])).0, [3.0, -4.0]);
        assert_eq!(select(&Target::Each(vec![0, 2]), &output), (vec![1.0, -4.0], vec![1.0, 0.0, 0.0, 0.0, 0.0, 1.0], vec![0, 2]));
    }

    #[test]
    fn the_sum_of_the_largest_is_no_single_class() {
        let output = Tensor::from_slice(&[1.0f64, 3.0, 2.5, -1.0, f64::NEG_INFINITY, -4.0]).view([2, 3]);
        assert_eq!(select(&Target::Top(2), &output), (vec![5.5, -5.0], vec![0.0, 1.0, 1.0, 1.0, 0.0, 1.0], vec![-1, -1]));
    }

    #[test]
    fn images_of_a_batch_may_have_targets_of_their_own() {
        let output = Tensor::from_slice(&[1.0f32, 3.0, 2.5, -1.0, -2.0, -4.0, 0.0, 1.0, 2.0]).view([3, 3]);
        let targets = [Target::Top(2), Target::Argmax, Target::Index(0)];
        let together = select(&Target::Mixed(targets.to_vec()), &output);
        let mut alone = (Vec::new(), Vec::new(), Vec::new());
        for (image, target) in targets.iter().enumerate() {
            let (value, grad, indices) = select(target, &output.narrow(0, image as i64, 1));
            alone.0.extend(value);
            alone.1.extend(grad);
            alone.2.extend(indices);
        }
        assert_eq!(together, alone);
        assert_eq!(Target::Mixed(targets.to_vec()).part(1..3), Target::Mixed(targets[1..].to_vec()));
        assert_eq!(Target::Mixed(targets[..2].to_vec()).select(&output).expect_err("two for three").kind(), Fault::Data);
        let cells = Cells { axis: 1, classes: 0, count: 2, objectness: Some(2) };
        let dense = |rule: Target| Target::In(cells.clone(), Box::new(rule));
        let output = Tensor::from_slice(&(0..18).map(|i| f64::from((i * 7) % 5)).collect::<Vec<_>>()).view([2, 3, 3]);
        let rules = [Target::Above { class: 1, threshold: 1.5 }, Target::Argmax];
        let both = Target::Mixed(rules.iter().cloned().map(dense).collect()).select(&output).expect("selected");
        assert_eq!(both.bias.as_ref().map(Tensor::size), Some(vec![2]));
        for (image, rule) in rules.into_iter().enumerate() {
            let one = dense(rule).select(&output.narrow(0, image as i64, 1)).expect("selected");
            assert_eq!(both.grad.get(image as i64), one.grad.get(0));
            assert_eq!(both.bias.as_ref().expect("two").get(image as i64), one.bias.expect("one").get(0));
        }
    }

    #[test]
    fn sixteen_bits_are_summed_in_thirty_two() {
        let output = Tensor::from_slice(&[256.0f32, 1.0, 1.0]).view([1, 3]).to_kind(Kind::BFloat16);
        assert_eq!(select(&Target::Top(3), &output).0, [258.0]);
    }

    #[test]
    fn what_is_outside_is_refused() {
        let output = Tensor::zeros([2, 3], (Kind::Float, Device::Cpu));
        let fault = |target: Target, output: &Tensor| target.select(output).expect_err("refused").kind();
        assert_eq!(fault(Target::Index(3), &output), Fault::Usage);
        assert_eq!(fault(Target::Top(4), &output), Fault::Usage);
        assert_eq!(fault(Target::Top(0), &output), Fault::Usage);
        assert_eq!(fault(Target::Above { class: 0, threshold: 0.0 }, &output), Fault::Usage);
        assert_eq!(fault(Target::Each(vec![0]), &output), Fault::Data);
        assert_eq!(fault(Target::Each(vec![0, -1]), &output), Fault::Data);
        assert_eq!(fault(Target::Argmax, &output.view([1, 3, 2])), Fault::Data);
    }
}
