//! Arrays of any number of axes, and walks over them.

use crate::network::graph::{Constant, ElementType, Elements};

/// An array, row-major. Integers and booleans are computed with as f64 too, which holds them exactly up to 2^53.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Sizes of the axes; empty for a scalar.
    pub shape: Vec<usize>,
    /// The elements.
    pub values: Vec<f64>,
    /// What they are kept as. Arithmetic on floats is kept as F64; what only moves elements keeps their type.
    pub element: ElementType,
}

impl Array {
    /// The constant's elements.
    pub fn of(constant: &Constant) -> Self {
        fn widened<T: Copy>(values: &[T], wide: impl Fn(T) -> f64) -> Vec<f64> {
            values.iter().map(|&value| wide(value)).collect()
        }
        let (values, element) = match &constant.elements {
            Elements::F32(v) => (widened(v, f64::from), ElementType::F32),
            Elements::F64(v) => (v.to_vec(), ElementType::F64),
            Elements::I8(v) => (widened(v, f64::from), ElementType::I8),
            Elements::U8(v) => (widened(v, f64::from), ElementType::U8),
            Elements::I32(v) => (widened(v, f64::from), ElementType::I32),
            Elements::I64(v) => (widened(v, |x| x as f64), ElementType::I64),
            Elements::Bool(v) => (widened(v, |x| f64::from(u8::from(x))), ElementType::Bool),
        };
        Array { shape: constant.shape.clone(), values, element }
    }

    /// As a constant; what is beyond an integer type's ends is put at them.
    pub fn into_constant(self) -> Constant {
        let values = self.values;
        let elements = match self.element {
            ElementType::F64 => Elements::F64(values.into()),
            ElementType::F32 | ElementType::F16 | ElementType::Bf16 => Elements::F32(values.iter().map(|&x| x as f32).collect()),
            ElementType::I8 => Elements::I8(values.iter().map(|&x| x as i8).collect()),
            ElementType::U8 => Elements::U8(values.iter().map(|&x| x as u8).collect()),
            ElementType::I32 => Elements::I32(values.iter().map(|&x| x as i32).collect()),
            ElementType::I64 => Elements::I64(values.iter().map(|&x| x as i64).collect()),
            ElementType::Bool => Elements::Bool(values.iter().map(|&x| x != 0.0).collect()),
        };
        Constant { shape: self.shape, elements }
    }

    pub fn is_float(&self) -> bool {
        matches!(self.element, ElementType::F16 | ElementType::Bf16 | ElementType::F32 | ElementType::F64)
    }

    /// The type of arithmetic's result: floats are kept as F64.
    pub fn computed(&self) -> ElementType {
        if self.is_float() { ElementType::F64 } else { self.element }
    }

    /// The only element.
    pub fn single(&self) -> Option<f64> {
        if let [value] = self.values[..] { Some(value) } else { None }
    }

    /// The same elements under another shape of as many.
    pub fn reshaped(self, shape: Vec<usize>) -> Array {
        debug_assert_eq!(shape.iter().product::<usize>(), self.values.len());
        Array { shape, ..self }
    }

    /// A view in `shape`: element (i, j, ...) is that at `first + i * steps[0] + j * steps[1] + ...`.
    pub fn view(&self, shape: Vec<usize>, first: usize, steps: &[isize]) -> Array {
        let values = Walk::new(&shape, first, steps).map(|at| self.values[at]).collect();
        Array { values, shape, element: self.element }
    }

    /// Steps that broadcast the array to `shape`.
    pub fn steps_in(&self, shape: &[usize]) -> Vec<isize> {
        let own = steps(&self.shape);
        let lead = shape.len() - self.shape.len();
        (0..shape.len()).map(|axis| if axis < lead || self.shape[axis - lead] == 1 { 0 } else { own[axis - lead] }).collect()
    }

    /// The axes in another order: axis i of the result is axis `perm[i]`.
    pub fn permuted(&self, perm: &[usize]) -> Array {
        let own = steps(&self.shape);
        let steps: Vec<isize> = perm.iter().map(|&axis| own[axis]).collect();
        self.view(perm.iter().map(|&axis| self.shape[axis]).collect(), 0, &steps)
    }
}

/// How far apart elements of a row-major array lie on each axis.
pub fn steps(shape: &[usize]) -> Vec<isize> {
    let mut steps = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        steps[axis - 1] = steps[axis] * shape[axis] as isize;
    }
    steps
}

/// Places in memory, in row-major order of a shape.
pub struct Walk<'a> {
    shape: &'a [usize],
    steps: &'a [isize],
    index: Vec<usize>,
    at: isize,
    left: usize,
}

impl<'a> Walk<'a> {
    pub fn new(shape: &'a [usize], first: usize, steps: &'a [isize]) -> Self {
        debug_assert_eq!(shape.len(), steps.len());
        Walk { shape, steps, index: vec![0; shape.len()], at: first as isize, left: shape.iter().product() }
    }
}

impl Iterator for Walk<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let place = self.at;
        for axis in (0..self.shape.len()).rev() {
            self.index[axis] += 1;
            self.at += self.steps[axis];
            if self.index[axis] < self.shape[axis] {
                break;
            }
            self.at -= self.steps[axis] * self.shape[axis] as isize;
            self.index[axis] = 0;
        }
        Some(place as usize)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

/// The shape that all of them broadcast to.
pub fn broadcast(shapes: &[&[usize]]) -> Result<Vec<usize>, String> {
    let rank = shapes.iter().map(|shape| shape.len()).max().unwrap_or(0);
    let mut joined = vec![1; rank];
    for shape in shapes {
        let lead = rank - shape.len();
        for (axis, &size) in shape.iter().enumerate() {
            let slot = &mut joined[lead + axis];
            match (*slot, size) {
                (1, size) => *slot = size,
                (_, 1) => {}
                (a, b) if a == b => {}
                _ => return Err(format!("constants of shapes {shapes:?} do not broadcast")),
            }
        }
    }
    Ok(joined)
}
