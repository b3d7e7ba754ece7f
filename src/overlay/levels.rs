//! Rows of saliency levels at the picture's size: the heatmap upsampled bilinearly.
//!
//! A heatmap has few rows, so each is first stretched to the picture's width, once; a picture's row is then a blend of two such
//! rows, which is the part that runs for each pixel and vectorises.

use crate::frame::View;
use crate::overlay::Heatmap;
use crate::simd;

/// Saliency 1.0 as a level.
pub const TOP: u16 = 1023;
/// Fractional bits of the stretched rows; `TOP << FRACTION` fits an i16.
const FRACTION: u32 = 5;

/// Where a picture's column or row falls between two cells of the map: `cell` and the one after it, whose weight is
/// `weight / 2^15`.
#[derive(Debug, Clone, Copy)]
struct Place {
    cell: u32,
    weight: i32,
}

/// The places of the columns or rows from `first` on that the map reaches; the others have none.
#[derive(Debug, Default)]
struct Places {
    first: usize,
    places: Vec<Place>,
}

/// A heatmap laid over a picture of one size.
#[derive(Debug, Default)]
pub struct Levels {
    /// Rows of cells, each with its last cell twice, so that each cell has one after it.
    map: Vec<i16>,
    map_width: usize,
    map_height: usize,
    columns: Places,
    rows: Places,
    geometry: Option<([usize; 4], View)>,
    stretched: [Vec<i16>; 2],
    held: [Option<usize>; 2],
}

impl Levels {
    /// Lays `heatmap` over `view` of a picture of this size.
    ///
    /// # Panics
    /// When the heatmap is empty or has not `width * height` values.
    pub fn set(&mut self, heatmap: &Heatmap, view: &View, width_px: usize, height_px: usize) {
        assert!(heatmap.width > 0 && heatmap.height > 0, "heatmap is empty");
        assert_eq!(heatmap.values.len(), heatmap.width * heatmap.height, "heatmap's values");
        let geometry = ([heatmap.width, heatmap.height, width_px, height_px], *view);
        if self.geometry != Some(geometry) {
            self.columns = places(width_px, view.x, view.width, heatmap.width);
            self.rows = places(height_px, view.y, view.height, heatmap.height);
            self.stretched = [vec![0; width_px], vec![0; width_px]];
            self.geometry = Some(geometry);
        }
        let top = f32::from(TOP << FRACTION);
        self.map.clear();
        // A value that is not a number becomes 0: the cast saturates.
        let level = |value: &f32| (value.clamp(0.0, 1.0) * top + 0.5) as i16;
        for row in heatmap.values.chunks_exact(heatmap.width) {
            self.map.extend(row.iter().chain(row.last()).map(level));
        }
        (self.map_width, self.map_height) = (heatmap.width, heatmap.height);
        self.held = [None, None];
    }

    /// The levels of picture row `y`, 0..=TOP. Outside the map's view they are 0.
    pub fn row(&mut self, y: usize, levels: &mut [u16]) {
        let Some(&Place { cell, weight }) = y.checked_sub(self.rows.first).and_then(|index| self.rows.places.get(index)) else {
            levels.fill(0);
            return;
        };
        let cell = cell as usize;
        let next = (cell + 1).min(self.map_height - 1);
        // Neighbouring cells have different parity, so each of the two buffers serves one of them.
        for cell in [cell, next] {
            if self.held[cell % 2] != Some(cell) {
                let row = self.map_width + 1;
                stretch(&self.map[cell * row..][..row], &self.columns.places, &mut self.stretched[cell % 2][self.columns.first..]);
                self.held[cell % 2] = Some(cell);
            }
        }
        mix(&self.stretched[cell % 2], &self.stretched[next % 2], weight, levels);
    }
}

/// For each of `count` pixels the cells between which its centre falls, where that is inside the view.
fn places(count: usize, from: f32, extent: f32, cells: usize) -> Places {
    let at = |index: usize| ((index as f64 + 0.5) / count as f64 - f64::from(from)) / f64::from(extent);
    let inside = |index: &usize| (0.0..=1.0).contains(&at(*index));
    let first = (0..count).find(inside).unwrap_or(count);
    let places = (first..count).take_while(inside).map(|index| {
        let at = (at(index) * cells as f64 - 0.5).clamp(0.0, (cells - 1) as f64);
        Place { cell: at as u32, weight: ((at - at.floor()) * 32768.0) as i32 }
    });
    Places { first, places: places.collect() }
}

/// One row of cells at the picture's width.
fn stretch(map: &[i16], columns: &[Place], out: &mut [i16]) {
    for (level, &Place { cell, weight }) in out.iter_mut().zip(columns) {
        let (a, b) = (i32::from(map[cell as usize]), i32::from(map[cell as usize + 1]));
        *level = (a + (((b - a) * weight) >> 15)) as i16;
    }
}

simd::dispatch! {
    /// `a + (b - a) * weight / 2^15`, rounded to whole levels.
    fn mix(a: &[i16], b: &[i16], weight: i32, levels: &mut [u16]) {
        for ((level, &a), &b) in levels.iter_mut().zip(a).zip(b) {
            let (a, b) = (i32::from(a), i32::from(b));
            let value = a + (((b - a) * weight) >> 15);
            *level = ((value + (1 << (FRACTION - 1))) >> FRACTION) as u16;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(heatmap: &Heatmap, view: View, width: usize, height: usize) -> Vec<Vec<u16>> {
        let mut levels = Levels::default();
        levels.set(heatmap, &view, width, height);
        (0..height)
            .map(|y| {
                let mut row = vec![7; width];
                levels.row(y, &mut row);
                row
            })
            .collect()
    }

    #[test]
    fn upsampling_is_bilinear_between_cell_centres() {
        let (map_width, map_height, width, height) = (5, 4, 37, 23);
        let values: Vec<f32> = (0..map_width * map_height).map(|i| ((i * 7919) % 101) as f32 / 100.0).collect();
        let heatmap = Heatmap { width: map_width, height: map_height, values: values.clone() };
        let view = View { x: -0.1, y: 0.0, width: 1.3, height: 1.0 };
        for (y, row) in rows(&heatmap, view, width, height).into_iter().enumerate() {
            for (x, level) in row.into_iter().enumerate() {
                let u = ((x as f64 + 0.5) / width as f64 + 0.1) / 1.3 * map_width as f64 - 0.5;
                let v = (y as f64 + 0.5) / height as f64 * map_height as f64 - 0.5;
                let (u, v) = (u.clamp(0.0, 4.0), v.clamp(0.0, 3.0));
                let at = |x: usize, y: usize| f64::from(values[y.min(3) * map_width + x.min(4)]);
                let (i, j) = (u as usize, v as usize);
                let (s, t) = (u - i as f64, v - j as f64);
                let wanted = (at(i, j) * (1.0 - s) + at(i + 1, j) * s) * (1.0 - t) + (at(i, j + 1) * (1.0 - s) + at(i + 1, j + 1) * s) * t;
                assert!((f64::from(level) - wanted * f64::from(TOP)).abs() <= 0.7, "({x}, {y}): {level} for {}", wanted * 1023.0);
            }
        }
    }

    #[test]
    fn outside_the_view_is_level_zero() {
        let heatmap = Heatmap { width: 2, height: 2, values: vec![1.0; 4] };
        let rows = rows(&heatmap, View { x: 0.25, y: 0.0, width: 0.5, height: 0.5 }, 8, 4);
        assert_eq!(rows[1], [0, 0, TOP, TOP, TOP, TOP, 0, 0]);
        assert_eq!(rows[2], [0; 8]);
    }

    #[test]
    fn what_is_no_number_is_level_zero() {
        let heatmap = Heatmap { width: 1, height: 1, values: vec![f32::NAN] };
        assert_eq!(rows(&heatmap, View::WHOLE, 2, 1), [[0, 0]]);
    }
}
