//! Values of a coarse grid added to pixels of a fine one.

use super::element::Element;

/// One axis: the coarse position q and phase r belong to the fine position stride q + r - pad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhaseAxis {
    /// Fine positions.
    pub fine: usize,
    /// Coarse positions.
    pub coarse: usize,
    /// Fine positions a coarse step.
    pub stride: usize,
    /// Phases that have values; the others' pixels get none.
    pub phases: usize,
    /// Fine positions before the first.
    pub pad: usize,
}

impl PhaseAxis {
    fn at(&self, coarse: usize, phase: usize) -> Option<usize> {
        (coarse * self.stride + phase).checked_sub(self.pad).filter(|&fine| fine < self.fine)
    }
}

/// Adds one image's coarse values, (rows, columns, row phases, column phases, channels), to its fine ones, (rows, columns, channels).
pub fn spread<E: Element>(coarse: &[E], fine: &mut [E], rows: PhaseAxis, columns: PhaseAxis, channels: usize) {
    assert_eq!(fine.len(), rows.fine * columns.fine * channels, "size of the fine grid");
    let mut values = coarse.chunks_exact(channels);
    for row in 0..rows.coarse {
        for column in 0..columns.coarse {
            for row_phase in 0..rows.phases {
                for column_phase in 0..columns.phases {
                    let value = values.next().expect("as many values as positions and phases");
                    let (Some(y), Some(x)) = (rows.at(row, row_phase), columns.at(column, column_phase)) else { continue };
                    let pixel = &mut fine[(y * columns.fine + x) * channels..][..channels];
                    for (pixel, value) in pixel.iter_mut().zip(value) {
                        *pixel = E::store(pixel.load() + value.load());
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_goes_to_its_pixel() {
        let rows = PhaseAxis { fine: 3, coarse: 2, stride: 2, phases: 2, pad: 1 };
        let columns = PhaseAxis { fine: 4, coarse: 2, stride: 2, phases: 1, pad: 0 };
        let coarse: Vec<f32> = (1..=8).map(|i| i as f32).collect();
        let mut fine = [100.0f32; 12];
        spread(&coarse, &mut fine, rows, columns, 1);
        // Row 0 is phase 1 of coarse row 0; rows 1 and 2 are the phases of coarse row 1.
        assert_eq!(fine, [102.0, 100.0, 104.0, 100.0, 105.0, 100.0, 107.0, 100.0, 106.0, 100.0, 108.0, 100.0]);
    }
}
