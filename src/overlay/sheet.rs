//! A sheet that compares heatmaps of one picture: the picture first, then the picture under each heatmap, a label below each.

use super::caption;
use super::{Heatmap, Layout, Settings, View, draw_still};
use crate::error::Result;
use crate::frame::Still;

/// Smallest and largest width of a panel, in pixels: the smallest has room for a method's name.
const PANEL_PX: (usize, usize) = (256, 448);
/// Between panels and around them, in pixels.
const GAP_PX: usize = 8;
/// The sheet's own grey.
const GROUND: u8 = 48;

/// The sheet. `title` stands below the picture; each heatmap, with its label, covers `view` of the picture and is blended as `settings`
/// say, without a caption.
///
/// # Errors
/// Those of [`draw_still`].
pub fn draw_sheet(still: &Still, title: &str, heatmaps: &[(Heatmap, String)], view: &View, settings: &Settings) -> Result<Still> {
    let settings = Settings { layout: Layout::Blend, caption: false, ..*settings };
    let width = still.width_px.clamp(PANEL_PX.0, PANEL_PX.1);
    let height = (still.height_px * width).div_ceil(still.width_px).clamp(1, 4 * width);
    let picture = resized(still, width, height);
    let drawn = heatmaps.iter().map(|(heatmap, _)| draw_still(&picture, heatmap, view, &settings, None)).collect::<Result<Vec<_>>>()?;
    let panels = [&picture].into_iter().chain(&drawn);
    let texts = [title].into_iter().chain(heatmaps.iter().map(|(_, label)| label.as_str()));
    let columns = (heatmaps.len() + 1).isqrt().max(1);
    let columns = if columns * columns < heatmaps.len() + 1 { columns + 1 } else { columns };
    let rows = (heatmaps.len() + 1).div_ceil(columns);
    let labels: Vec<Option<(Vec<u8>, usize)>> = texts.map(|text| caption::label(text, width)).collect();
    let label_height = labels.iter().flatten().map(|(_, height)| *height).max().unwrap_or(0);
    let (step_x, step_y) = (width + GAP_PX, height + label_height + GAP_PX);
    let mut sheet = Still { width_px: columns * step_x + GAP_PX, height_px: rows * step_y + GAP_PX, rgb: Vec::new() };
    sheet.rgb = vec![GROUND; sheet.width_px * sheet.height_px * 3];
    for (index, (panel, label)) in panels.zip(labels).enumerate() {
        let (x, y) = (GAP_PX + index % columns * step_x, GAP_PX + index / columns * step_y);
        put(&mut sheet, x, y, width, &panel.rgb);
        if let Some((white, _)) = label {
            let rgb: Vec<u8> = white.iter().flat_map(|&sample| [sample; 3]).collect();
            put(&mut sheet, x, y + height, width, &rgb);
        }
    }
    Ok(sheet)
}

/// Copies rows of `width` pixels to (x, y).
fn put(sheet: &mut Still, x: usize, y: usize, width: usize, rgb: &[u8]) {
    let stride = sheet.width_px * 3;
    for (row, from) in rgb.chunks_exact(width * 3).enumerate() {
        sheet.rgb[(y + row) * stride + x * 3..][..width * 3].copy_from_slice(from);
    }
}

/// The picture at another size: each pixel is the mean of those that it covers, at least of one.
fn resized(still: &Still, width: usize, height: usize) -> Still {
    let covered = |at: usize, of: usize, from: usize| {
        let first = at * from / of;
        first..((at + 1) * from / of).max(first + 1)
    };
    let mut rgb = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        let rows = covered(y, height, still.height_px);
        for x in 0..width {
            let columns = covered(x, width, still.width_px);
            let count = rows.len() * columns.len();
            let mut sums = [count / 2; 3];
            for row in rows.clone() {
                let pixels = &still.rgb[(row * still.width_px + columns.start) * 3..][..columns.len() * 3];
                for pixel in pixels.chunks_exact(3) {
                    sums.iter_mut().zip(pixel).for_each(|(sum, &sample)| *sum += usize::from(sample));
                }
            }
            rgb.extend(sums.map(|sum| (sum / count) as u8));
        }
    }
    Still { width_px: width, height_px: height, rgb }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradient(width_px: usize, height_px: usize) -> Still {
        let rgb = (0..width_px * height_px * 3).map(|i| (i % 251) as u8).collect();
        Still { width_px, height_px, rgb }
    }

    #[test]
    fn panels_and_labels_have_their_places() {
        let still = gradient(300, 200);
        let flat = |value: f32| Heatmap { width: 2, height: 2, values: vec![value; 4] };
        let heatmaps = [(flat(0.0), "nothing".to_owned()), (flat(1.0), "all".to_owned()), (flat(0.0), String::new())];
        let settings = Settings { caption: true, layout: Layout::Side, ..Settings::default() };
        let sheet = draw_sheet(&still, "a picture", &heatmaps, &View::WHOLE, &settings).expect("a sheet");
        assert_eq!(sheet.width_px, 2 * 300 + 3 * GAP_PX);
        let label = (sheet.height_px - 3 * GAP_PX) / 2 - 200;
        let at = |x: usize, y: usize| &sheet.rgb[(y * sheet.width_px + x) * 3..][..3];
        let rows = |x: usize, y: usize| (0..200).map(move |row| (x, y + row));
        for (row, (x, y)) in rows(GAP_PX, GAP_PX).enumerate() {
            let from = (y * sheet.width_px + x) * 3;
            assert_eq!(sheet.rgb[from..from + 900], still.rgb[row * 900..][..900], "the picture is itself");
            let from = from + (300 + GAP_PX) * 3;
            assert_eq!(sheet.rgb[from..from + 900], still.rgb[row * 900..][..900], "no saliency shows the picture");
        }
        let second = 200 + label + 2 * GAP_PX;
        assert!(rows(GAP_PX, second).any(|(x, y)| at(x, y) != &still.rgb[(y - second) * 900..][..3]), "saliency is drawn");
        for corner in [(0, 0), (GAP_PX + 300, 50), (sheet.width_px - 1, sheet.height_px - 1)] {
            assert_eq!(at(corner.0, corner.1), [GROUND; 3]);
        }
        let lit = |x: usize, y: usize| (0..label).any(|row| (0..300).any(|column| at(x + column, y + row) == [255; 3]));
        let below = [GAP_PX + 200, second + 200];
        assert!(lit(GAP_PX, below[0]) && lit(2 * GAP_PX + 300, below[0]) && lit(GAP_PX, below[1]));
        assert!(!lit(2 * GAP_PX + 300, below[1]), "no label, no letters");
    }

    #[test]
    fn any_size_is_brought_to_a_panel() {
        assert_eq!(resized(&gradient(5, 3), 5, 3), gradient(5, 3));
        let grey = Still { width_px: 2, height_px: 2, rgb: [10, 10, 10, 20, 20, 20, 30, 30, 30, 41, 41, 41].to_vec() };
        assert_eq!(resized(&grey, 1, 1).rgb, [25; 3]);
        assert_eq!(resized(&grey, 4, 2).rgb[..12], [10, 10, 10, 10, 10, 10, 20, 20, 20, 20, 20, 20]);
        for (width, height) in [(1, 1), (2000, 1), (1, 3000), (640, 480)] {
            let sheet = draw_sheet(&gradient(width, height), "", &[], &View::WHOLE, &Settings::default()).expect("a sheet");
            assert!(sheet.width_px >= PANEL_PX.0 && sheet.height_px > GAP_PX);
        }
    }
}
