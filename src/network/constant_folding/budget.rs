//! How much folding may make and do: a small file can ask for much.

use std::cell::Cell;

/// Most elements of one constant: 2^28.
const MAX_ELEMENTS: usize = 1 << 28;
/// What every file may make; the rest goes with the constants that it has.
const FREE_ELEMENTS: usize = 1 << 24;
/// Elements made for each element of the file's constants; weights that are standardised take some ten.
const FOR_EACH: usize = 16;
/// Elements read or multiplied in all.
const MAX_WORK: usize = 1 << 32;

/// What is left.
#[derive(Debug)]
pub struct Budget {
    elements: Cell<usize>,
    work: Cell<usize>,
}

impl Budget {
    /// For a file whose constants have so many elements.
    pub fn new(file_elements: usize) -> Self {
        let elements = file_elements.saturating_mul(FOR_EACH).saturating_add(FREE_ELEMENTS);
        Budget { elements: Cell::new(elements), work: Cell::new(MAX_WORK) }
    }

    /// The number of elements of a constant that is about to be made.
    pub fn room(&self, shape: &[usize]) -> Result<usize, String> {
        let count = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
        let count = count
            .filter(|&count| count <= MAX_ELEMENTS)
            .ok_or_else(|| format!("makes a constant of shape {shape:?}, over the limit of {MAX_ELEMENTS} elements"))?;
        self.work(count)?;
        let left = self.elements.get().checked_sub(count);
        self.elements.set(left.ok_or("makes more constants than a file of this size should")?);
        Ok(count)
    }

    /// Counts work on so many elements.
    pub fn work(&self, count: usize) -> Result<(), String> {
        let left = self.work.get().checked_sub(count);
        self.work
            .set(left.ok_or_else(|| format!("folding constants up to here takes over {MAX_WORK} steps; export with constant folding"))?);
        Ok(())
    }
}
