//! Named boxes of the picture and how much of the saliency falls into them.

use std::str::FromStr;

use crate::error::{Error, Result};
use crate::frame::View;

/// A named box, in fractions of the picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    /// What reports call it.
    pub name: String,
    /// Left edge.
    pub x: f32,
    /// Upper edge.
    pub y: f32,
    /// Width.
    pub w: f32,
    /// Height.
    pub h: f32,
}

impl FromStr for Region {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let fault = |what: String| {
            Error::usage(format!("region \"{text}\": {what}; write NAME=x,y,w,h in fractions of the picture, as in door=0.1,0.2,0.3,0.5"))
        };
        let (name, numbers) = text.split_once('=').ok_or_else(|| fault("there is no \"=\" after a name".into()))?;
        let name = name.trim();
        if name.is_empty() {
            return Err(fault("the name is empty".into()));
        }
        let numbers = numbers
            .split(',')
            .map(|number| number.trim().parse::<f32>().map_err(|_| fault(format!("\"{}\" is not a number", number.trim()))))
            .collect::<Result<Vec<f32>>>()?;
        let &[x, y, w, h] = numbers.as_slice() else {
            return Err(fault(format!("there are {} numbers, not four", numbers.len())));
        };
        if !(w > 0.0 && h > 0.0) {
            return Err(fault("width and height must be above 0".into()));
        }
        // A little room: 0.9 + 0.1 is above 1 in f32.
        let inside = |from: f32, extent: f32| from >= 0.0 && from + extent <= 1.0 + 1e-5;
        if !inside(x, w) || !inside(y, h) {
            return Err(fault("the box reaches outside the picture, which goes from 0 to 1".into()));
        }
        Ok(Self { name: name.to_owned(), x, y, w, h })
    }
}

/// The share of the picture's saliency that lies in `region`, 0..=1; pixels cut by the edge count by their part inside.
///
/// `map` is the raw map (rows of `width`, `height` of them), laid over `view` of the picture. What the map shows beyond the
/// picture (borders) does not count; where the map does not reach, there is no saliency. 0 when there is none at all.
pub fn share(map: &[f32], width: usize, height: usize, view: &View, region: &Region) -> f32 {
    assert_eq!(map.len(), width * height, "map's values");
    let whole = rectangle_sum(map, width, height, view, [0.0, 0.0, 1.0, 1.0]);
    let right = (region.x + region.w).min(1.0);
    let lower = (region.y + region.h).min(1.0);
    let inside = rectangle_sum(map, width, height, view, [region.x, region.y, right, lower]);
    if whole > 0.0 { (inside / whole).clamp(0.0, 1.0) as f32 } else { 0.0 }
}

/// The integral of the map over a rectangle (left, top, right, bottom; fractions of the picture), in map cells.
fn rectangle_sum(map: &[f32], width: usize, height: usize, view: &View, [left, top, right, bottom]: [f32; 4]) -> f64 {
    let columns = coverage(width, view.x, view.width, left, right);
    let rows = coverage(height, view.y, view.height, top, bottom);
    map.chunks_exact(width)
        .zip(rows)
        .filter(|&(_, covered)| covered > 0.0)
        .map(|(row, covered)| covered * row.iter().zip(&columns).map(|(&value, column)| f64::from(value) * column).sum::<f64>())
        .sum()
}

/// How much of each cell lies between `from` and `to`.
fn coverage(cells: usize, view_from: f32, view_extent: f32, from: f32, to: f32) -> Vec<f64> {
    let cell_at = |fraction: f32| (f64::from(fraction) - f64::from(view_from)) / f64::from(view_extent) * cells as f64;
    let (from, to) = (cell_at(from), cell_at(to));
    (0..cells).map(|cell| (to.min((cell + 1) as f64) - from.max(cell as f64)).max(0.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(text: &str) -> Region {
        text.parse().expect("a region")
    }

    #[test]
    fn text_is_read_and_faults_are_named() {
        assert_eq!(region("front door=0.1, 0.2,0.9,0.5"), Region { name: "front door".into(), x: 0.1, y: 0.2, w: 0.9, h: 0.5 });
        for (text, what) in [
            ("door", "no \"=\""),
            ("=0,0,1,1", "name is empty"),
            ("door=0,0,1", "3 numbers"),
            ("door=0,0,1,wide", "\"wide\" is not a number"),
            ("door=0,0,0,1", "above 0"),
            ("door=0,0,NaN,1", "above 0"),
            ("door=NaN,0,1,1", "outside"),
            ("door=0.5,0,0.6,1", "outside"),
            ("door=-0.1,0,0.6,1", "outside"),
        ] {
            let error = text.parse::<Region>().expect_err(text).to_string();
            assert!(error.contains(what) && error.contains("NAME=x,y,w,h"), "{text}: {error}");
        }
    }

    #[test]
    fn cut_pixels_count_by_their_part() {
        let map = [1.0, 3.0, 5.0, 7.0];
        assert_eq!(share(&map, 2, 2, &View::WHOLE, &region("all=0,0,1,1")), 1.0);
        assert_eq!(share(&map, 2, 2, &View::WHOLE, &region("right=0.5,0,0.5,1")), 10.0 / 16.0);
        let quarter = share(&map, 2, 2, &View::WHOLE, &region("middle=0.25,0.25,0.5,0.5"));
        assert!((quarter - 0.25).abs() < 1e-6, "{quarter}");
    }

    #[test]
    fn crops_and_borders_are_seen_in_the_pictures_coordinates() {
        let map = [1.0, 1.0, 1.0, 1.0];
        // The map covers the middle half of the picture's width.
        let crop = View { x: 0.25, y: 0.0, width: 0.5, height: 1.0 };
        assert_eq!(share(&map, 4, 1, &crop, &region("left=0,0,0.25,1")), 0.0);
        assert_eq!(share(&map, 4, 1, &crop, &region("left=0,0,0.5,1")), 0.5);
        // The map has a border of one cell at each side of the picture.
        let pad = View { x: -0.5, y: 0.0, width: 2.0, height: 1.0 };
        assert_eq!(share(&[9.0, 1.0, 3.0, 9.0], 4, 1, &pad, &region("left=0,0,0.5,1")), 0.25);
    }

    #[test]
    fn no_saliency_has_no_share() {
        assert_eq!(share(&[0.0; 4], 2, 2, &View::WHOLE, &region("all=0,0,1,1")), 0.0);
    }
}
