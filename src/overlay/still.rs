//! The same look for still pictures, in RGB.

use crate::error::{Error, Result};
use crate::frame::{Still, View};
use crate::overlay::blend::{self, Opacity, Table};
use crate::overlay::caption;
use crate::overlay::levels::{Levels, TOP};
use crate::overlay::{Caption, Heatmap, Layout, Settings};

/// The still with `heatmap` (which covers `view` of it) drawn as `settings` say; [`Layout::Side`] is exactly twice as wide.
/// A caption is drawn when there is one and the settings ask for it.
///
/// # Panics
/// When `heatmap` has not `width * height` values or the still not `width_px * height_px * 3` samples.
pub fn draw_still(still: &Still, heatmap: &Heatmap, view: &View, settings: &Settings, caption: Option<&Caption>) -> Result<Still> {
    settings.check()?;
    let (width, height) = (still.width_px, still.height_px);
    assert_eq!(still.rgb.len(), width * height * 3, "the still's samples");
    if width == 0 || height == 0 {
        return Err(Error::data(format!("a picture of {width}x{height} pixels cannot be drawn on")));
    }
    let opacity = Opacity::of(settings);
    let value = |level: usize| level as f32 / f32::from(TOP);
    let tables = [0, 1, 2].map(|channel| {
        Table::new(usize::from(TOP) + 1, |level| (opacity.at(value(level)), 255.0 * settings.colour_map.rgb(value(level))[channel]))
    });
    let side = settings.layout == Layout::Side;
    let out_width = if side { width * 2 } else { width };
    let mut out = Still { width_px: out_width, height_px: height, rgb: vec![0; out_width * height * 3] };
    let mut levels = Levels::default();
    levels.set(heatmap, view, width, height);
    let mut row = vec![0; width];
    for (y, (from, to)) in still.rgb.chunks_exact(width * 3).zip(out.rgb.chunks_exact_mut(out_width * 3)).enumerate() {
        levels.row(y, &mut row);
        let to = if side {
            let (left, right) = to.split_at_mut(width * 3);
            left.copy_from_slice(from);
            right
        } else {
            to
        };
        blend::triples(from, to, &row, &tables);
    }
    if let (true, Some(caption)) = (settings.caption, caption) {
        caption::draw_on_still(caption, &mut out);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overlay::ColourMap;

    fn gradient() -> Still {
        Still { width_px: 90, height_px: 64, rgb: (0..90 * 64 * 3).map(|i| (i % 251) as u8).collect() }
    }

    #[test]
    fn a_still_is_blended_like_the_formula() {
        let still = gradient();
        let heatmap = Heatmap { width: 3, height: 1, values: vec![0.0, 0.5, 1.0] };
        let settings = Settings { colour_map: ColourMap::Grey, opacity: 0.5, ..Settings::default() };
        let out = draw_still(&still, &heatmap, &View::WHOLE, &settings, None).expect("drawn");
        // The last sixth lies at saliency 1: half picture, half white; the first at 0: untouched.
        for y in [0, 63] {
            let at = |x: usize| (y * 90 + x) * 3;
            assert_eq!(out.rgb[at(0)..at(15)], still.rgb[at(0)..at(15)]);
            for index in at(76)..at(90) {
                assert!((f32::from(out.rgb[index]) - (f32::from(still.rgb[index]) + 255.0) / 2.0).abs() <= 1.0);
            }
        }
    }

    #[test]
    fn side_keeps_the_picture_and_captions_stay_at_the_bottom() {
        let still = gradient();
        let heatmap = Heatmap { width: 1, height: 1, values: vec![1.0] };
        let settings = Settings { layout: Layout::Side, caption: true, ..Settings::default() };
        let caption = Caption { left: "cat 90 %".into(), right: String::new() };
        let out = draw_still(&still, &heatmap, &View::WHOLE, &settings, Some(&caption)).expect("drawn");
        assert_eq!((out.width_px, out.height_px), (180, 64));
        assert_eq!(out.rgb[..270], still.rgb[..270]);
        let last = 63 * 540;
        assert!(out.rgb[last..last + 30].iter().zip(&still.rgb[63 * 270..]).all(|(&out, &was)| u32::from(out) <= u32::from(was) / 2 + 1));
    }
}
