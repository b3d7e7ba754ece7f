//! A bar chart in plain pixels: shares with a sign, a bar a row.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

use crate::frame::Still;

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// What it is of. Shortened in its middle where it is long.
    pub name: String,
    /// -1..=1; a share that is not finite has no bar.
    pub share: f64,
}

const TYPE: RasterHeight = RasterHeight::Size16;
const TYPE_PX: usize = 16;
const ROW_PX: usize = 22;
const MARGIN_PX: usize = 16;
/// Width of the field between the names and the numbers, which the longest bar and its opposite share.
const FIELD_PX: usize = 520;
/// Longest name, in characters.
const NAME: usize = 64;
/// Characters of the number.
const NUMBER: usize = 9;

const WHITE: [u8; 3] = [255; 3];
const BLACK: [u8; 3] = [24, 24, 24];
const GREY: [u8; 3] = [190, 190, 190];
const FOR: [u8; 3] = [31, 119, 180];
const AGAINST: [u8; 3] = [214, 80, 60];

/// The chart: a title, then a row a bar from top to bottom. Bars to the right of the axis raise the output, those to the left lower it.
pub fn bars(title: &str, bars: &[Bar]) -> Still {
    let advance = get_raster_width(FontWeight::Regular, TYPE);
    let names: Vec<String> = bars.iter().map(|bar| shortened(&bar.name, NAME)).collect();
    let name_px = names.iter().map(|name| name.chars().count()).max().unwrap_or(0) * advance;
    let left = MARGIN_PX + name_px + MARGIN_PX;
    let legend = "blue raises the output, red lowers it; shares of the terms' magnitudes";
    let width = (left + FIELD_PX + MARGIN_PX + NUMBER * advance + MARGIN_PX).max((legend.len() + 4) * advance);
    let top = MARGIN_PX + 2 * ROW_PX + ROW_PX / 2;
    let mut still = Still { width_px: width, height_px: top + bars.len() * ROW_PX + MARGIN_PX, rgb: Vec::new() };
    still.rgb = WHITE.repeat(still.width_px * still.height_px);
    let room = (width - 2 * MARGIN_PX) / advance;
    text(&mut still, &shortened(title, room), MARGIN_PX, MARGIN_PX);
    text(&mut still, legend, MARGIN_PX, MARGIN_PX + ROW_PX);
    let size = |bar: &Bar| if bar.share.is_finite() { bar.share.clamp(-1.0, 1.0) } else { 0.0 };
    let (least, most) = bars.iter().map(size).fold((0.0f64, 0.0f64), |(least, most), share| (least.min(share), most.max(share)));
    let scale = if most > least { FIELD_PX as f64 / (most - least) } else { 0.0 };
    let axis = left + (-least * scale).round() as usize;
    for (row, (bar, name)) in bars.iter().zip(&names).enumerate() {
        let y = top + row * ROW_PX;
        let letters = y + (ROW_PX - TYPE_PX) / 2;
        text(&mut still, name, MARGIN_PX + name_px - name.chars().count() * advance, letters);
        let length = (size(bar).abs() * scale).round() as usize;
        let (from, colour) = if bar.share < 0.0 { (axis - length.min(axis), AGAINST) } else { (axis, FOR) };
        rectangle(&mut still, [from, y + 3, length, ROW_PX - 6], colour);
        let number = if bar.share.is_finite() { format!("{:+8.2} %", bar.share * 100.0) } else { format!("{:>8}", bar.share) };
        text(&mut still, number.trim_start(), left + FIELD_PX + MARGIN_PX, letters);
    }
    rectangle(&mut still, [axis, top, 1, bars.len() * ROW_PX], GREY);
    still
}

/// At most `room` characters: of a longer text the beginning and the end, where names of nodes differ.
fn shortened(text: &str, room: usize) -> String {
    let characters: Vec<char> = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if characters.len() <= room {
        return characters.into_iter().collect();
    }
    let kept = room.saturating_sub(2);
    let (head, tail) = (&characters[..kept / 3], &characters[characters.len() - (kept - kept / 3)..]);
    head.iter().chain(&['.', '.']).chain(tail).collect()
}

/// Fills [x, y, width, height]; what is outside the picture is left out.
fn rectangle(still: &mut Still, [x, y, width, height]: [usize; 4], colour: [u8; 3]) {
    let right = (x + width).min(still.width_px);
    for row in y..(y + height).min(still.height_px) {
        let start = row * still.width_px;
        still.rgb[3 * (start + x.min(right))..3 * (start + right)].as_chunks_mut::<3>().0.fill(colour);
    }
}

/// Writes dark letters with their upper left corner at (x, y).
fn text(still: &mut Still, text: &str, mut x: usize, y: usize) {
    for character in text.chars() {
        let Some(glyph) = get_raster(character, FontWeight::Regular, TYPE).or_else(|| get_raster('?', FontWeight::Regular, TYPE)) else {
            continue;
        };
        for (row, pixels) in glyph.raster().iter().enumerate() {
            for (column, &covered) in pixels.iter().enumerate() {
                let (x, y) = (x + column, y + row);
                if covered > 0 && x < still.width_px && y < still.height_px {
                    let pixel = &mut still.rgb[3 * (y * still.width_px + x)..][..3];
                    for (sample, ink) in pixel.iter_mut().zip(BLACK) {
                        let covered = u32::from(covered);
                        *sample = ((u32::from(ink) * covered + u32::from(*sample) * (255 - covered)) / 255) as u8;
                    }
                }
            }
        }
        x += glyph.width();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(still: &Still, colour: [u8; 3]) -> usize {
        still.rgb.as_chunks::<3>().0.iter().filter(|pixel| **pixel == colour).count()
    }

    fn bar(share: f64) -> Bar {
        Bar { name: format!("node {share}"), share }
    }

    #[test]
    fn lengths_are_in_the_shares_proportion_and_signs_have_their_colours() {
        let still = bars("net", &[bar(0.6), bar(-0.3), bar(0.1)]);
        let height = ROW_PX - 6;
        let unit = FIELD_PX as f64 / 0.9;
        let length = |share: f64| (share * unit).round() as usize;
        // The axis stands on the first column of the bars to its right.
        assert_eq!(count(&still, FOR), (length(0.6) + length(0.1) - 2) * height);
        assert_eq!(count(&still, AGAINST), length(0.3) * height);
    }

    #[test]
    fn what_cannot_be_drawn_is_no_bar() {
        let still = bars("net", &[bar(f64::NAN), bar(0.0)]);
        assert_eq!((count(&still, FOR), count(&still, AGAINST)), (0, 0));
        assert_eq!(still.rgb.len(), still.width_px * still.height_px * 3);
        let empty = bars(&"long ".repeat(200), &[]);
        assert_eq!(empty.rgb.len(), empty.width_px * empty.height_px * 3);
    }

    #[test]
    fn long_names_keep_their_ends() {
        assert_eq!(shortened("/features/features.0/conv/Conv", 16), "/fea../conv/Conv");
        assert_eq!(shortened("short", 16), "short");
    }
}
