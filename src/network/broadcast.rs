//! Numpy-style broadcasting of shapes, and its adjoint.

use tch::Tensor;

use super::graph::Constant;
use super::op::Shape;
use crate::error::Result;

/// The shape that both broadcast to.
pub fn shape(a: &[usize], b: &[usize]) -> Result<Shape, String> {
    let rank = a.len().max(b.len());
    let size = |s: &[usize], axis: usize| if axis + s.len() < rank { 1 } else { s[axis + s.len() - rank] };
    (0..rank)
        .map(|axis| match (size(a, axis), size(b, axis)) {
            (x, y) if x == y => Ok(x),
            (1, y) => Ok(y),
            (x, 1) => Ok(x),
            (x, y) => Err(format!("shapes {a:?} and {b:?} do not broadcast: {x} against {y} on axis {axis}")),
        })
        .collect()
}

/// The shape that activations (for a batch of one) and constants broadcast to together, each image by itself.
pub fn images<'a>(activations: &[&[usize]], constants: impl IntoIterator<Item = &'a Constant>) -> Result<Shape, String> {
    let [first, others @ ..] = activations else { return Err("no input depends on the network's input".to_owned()) };
    let mut sizes = first.to_vec();
    for other in others {
        if other.len() != sizes.len() {
            return Err(format!("shapes {sizes:?} and {other:?} differ in their number of axes, which would mix images of a batch"));
        }
        sizes = shape(&sizes, other)?;
    }
    for constant in constants {
        let stretched = shape(&sizes, &constant.shape)?;
        if stretched.len() != sizes.len() || stretched.first() != Some(&1) {
            return Err(format!("a constant of shape {:?} would change the batch axis of {sizes:?}", constant.shape));
        }
        sizes = stretched;
    }
    Ok(sizes)
}

/// The adjoint of broadcasting `from` (for a batch of one) to the gradient's shape: sums over the axes that were stretched.
pub fn adjoint(grad: &Tensor, from: &[usize]) -> Result<Tensor> {
    let size = grad.size();
    let lead = size.len() - from.len();
    let summed: Vec<i64> = (0..size.len())
        .filter(|&axis| axis < lead || (axis > 0 && from[axis - lead] == 1 && size[axis] != 1))
        .map(|axis| axis as i64)
        .collect();
    if summed.is_empty() {
        return Ok(grad.shallow_clone());
    }
    let kept = grad.f_sum_dim_intlist(summed.as_slice(), true, grad.kind())?;
    Ok(if lead == 0 { kept } else { kept.f_view(&kept.size()[lead..])? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_ones_and_missing_axes() {
        assert_eq!(shape(&[1, 4, 5, 6], &[4, 1, 1]), Ok(vec![1, 4, 5, 6]));
        assert!(shape(&[1, 4], &[3]).is_err_and(|e| e.contains("4 against 3 on axis 1")));
    }

    #[test]
    fn images_stay_apart() {
        let constant = |shape: &[usize]| Constant::from_floats(shape.to_vec(), vec![0.0; shape.iter().product()]);
        assert_eq!(images(&[&[1, 4, 1], &[1, 1, 6]], &[constant(&[6]), constant(&[1, 4, 1])]), Ok(vec![1, 4, 6]));
        assert!(images(&[&[1, 4, 5], &[1, 5]], &[]).is_err_and(|e| e.contains("mix images")));
        for shape in [&[2, 4, 5][..], &[1, 1, 4, 5]] {
            assert!(images(&[&[1, 4, 5]], &[constant(shape)]).is_err_and(|e| e.contains("batch axis")));
        }
    }
}
