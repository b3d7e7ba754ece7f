//! The caption: one line of text on a dark strip over the bottom of the picture.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

use crate::frame::{PictureInfo, PlaneMut, Still};
use crate::overlay::blend::{self, Table, Tables};

/// What a caption says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Caption {
    /// At the left: the class and its probability. Shortened when there is too little room.
    pub left: String,
    /// At the right: the residual. Left out when there is too little room.
    pub right: String,
}

/// How dark the strip makes the picture.
const DARK: f32 = 0.6;
/// Coverage of a pixel by a glyph is given in this many steps above 0.
const COVERAGE: usize = 255;
/// Characters of the left text that must fit before the right text gets room.
const LEFT_LEAST: usize = 12;

/// The strip of one stream: its place, its type size and the text that was drawn last.
#[derive(Debug)]
pub struct Strip {
    layout: StripLayout,
    tables: Tables,
    caption: Option<Caption>,
    coverage: Vec<u16>,
    chroma: Vec<u16>,
}

/// Place and type size of a strip on a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct StripLayout {
    width: usize,
    top: usize,
    height: usize,
    glyph: RasterSize,
    scale: usize,
}

/// The heights in which glyphs come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RasterSize {
    Px16,
    Px20,
    Px24,
    Px32,
}

impl RasterSize {
    fn raster(self) -> RasterHeight {
        match self {
            RasterSize::Px16 => RasterHeight::Size16,
            RasterSize::Px20 => RasterHeight::Size20,
            RasterSize::Px24 => RasterHeight::Size24,
            RasterSize::Px32 => RasterHeight::Size32,
        }
    }
}

impl StripLayout {
    /// None where the picture is too small for any text.
    fn new(width: usize, height: usize) -> Option<Self> {
        let wanted = (height / 22).min(width / 26).max(16);
        // The largest that fits; of equal ones the least enlarged, which is the smoothest.
        let (glyph, scale) = [RasterSize::Px16, RasterSize::Px20, RasterSize::Px24, RasterSize::Px32]
            .into_iter()
            .map(|glyph| (glyph, wanted / glyph.raster().val()))
            .filter(|&(_, scale)| scale > 0)
            .max_by_key(|&(glyph, scale)| (glyph.raster().val() * scale, glyph.raster().val()))?;
        let text = glyph.raster().val() * scale;
        let strip = text + 2 * (text / 8).max(1);
        if strip * 2 > height || width < 8 * get_raster_width(FontWeight::Bold, glyph.raster()) * scale {
            return None;
        }
        // An even row, so that the strip's chroma rows are its own.
        let top = (height - strip) & !1;
        Some(Self { width, top, height: height - top, glyph, scale })
    }

    /// How much of each pixel the text covers, 0..=COVERAGE, rows of `width`.
    fn rasterise(&self, caption: &Caption) -> Vec<u16> {
        let mut coverage = vec![0; self.width * self.height];
        let advance = get_raster_width(FontWeight::Bold, self.glyph.raster()) * self.scale;
        let margin = advance;
        let room = (self.width - 2 * margin) / advance;
        let (left, right) = fit(caption, room);
        self.text(&left, margin, &mut coverage);
        self.text(&right, self.width - margin - right.len() * advance, &mut coverage);
        coverage
    }

    fn text(&self, text: &[char], mut x: usize, coverage: &mut [u16]) {
        let size = self.glyph.raster();
        let y = (self.height - size.val() * self.scale) / 2;
        for &character in text {
            let Some(glyph) = get_raster(character, FontWeight::Bold, size).or_else(|| get_raster('?', FontWeight::Bold, size)) else {
                continue;
            };
            for (row, pixels) in glyph.raster().iter().enumerate() {
                for (column, &pixel) in pixels.iter().enumerate() {
                    for dy in 0..self.scale {
                        let start = (y + row * self.scale + dy) * self.width + x + column * self.scale;
                        coverage[start..start + self.scale].fill(u16::from(pixel));
                    }
                }
            }
            x += glyph.width() * self.scale;
        }
    }
}

/// Both texts cut to `room` characters in all, two of them between the texts.
fn fit(caption: &Caption, room: usize) -> (Vec<char>, Vec<char>) {
    let characters = |text: &str| text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<Vec<char>>();
    let (mut left, mut right) = (characters(&caption.left), characters(&caption.right));
    if right.len() + if left.is_empty() { 0 } else { 2 + left.len().min(LEFT_LEAST) } > room {
        right.clear();
    }
    let left_room = if right.is_empty() { room } else { room.saturating_sub(right.len() + 2) };
    if left.len() > left_room {
        left.truncate(left_room.saturating_sub(2));
        left.extend(['.', '.']);
        left.truncate(left_room);
    }
    (left, right)
}

/// What coverage does to a sample: the strip darkens towards `black`, the text is `white`.
fn table(black: f32, white: f32) -> Table {
    Table::new(COVERAGE + 1, |covered| {
        let covered = covered as f32 / COVERAGE as f32;
        let opacity = covered + (1.0 - covered) * DARK;
        (opacity, (covered * white + (1.0 - covered) * DARK * black) / opacity)
    })
}

impl Strip {
    /// The strip for pictures like `info`; None where they are too small for text.
    pub fn new(info: &PictureInfo) -> Option<Self> {
        let layout = StripLayout::new(info.width_px, info.height_px)?;
        let (black, white) = (info.samples_from_rgb([0.0; 3]), info.samples_from_rgb([1.0; 3]));
        let tables = Tables::of([0, 1, 2].map(|component| table(black[component], white[component])));
        Some(Self { layout, tables, caption: None, coverage: Vec::new(), chroma: vec![0; info.width_px.div_ceil(2)] })
    }

    /// Draws the caption over the bottom of the picture in `planes`.
    pub fn draw(&mut self, caption: &Caption, info: &PictureInfo, planes: &mut [PlaneMut<'_>]) {
        if self.caption.as_ref() != Some(caption) {
            self.coverage = self.layout.rasterise(caption);
            self.caption = Some(caption.clone());
        }
        let StripLayout { width, top, height, .. } = self.layout;
        let mut scratch = Vec::new();
        for y in (0..height).step_by(2) {
            let upper = &self.coverage[y * width..][..width];
            let lower = if y + 1 < height { &self.coverage[(y + 1) * width..][..width] } else { upper };
            self.tables.row_in_place(info, 0, top + y, &mut planes[0], upper, &mut scratch);
            if y + 1 < height {
                self.tables.row_in_place(info, 0, top + y + 1, &mut planes[0], lower, &mut scratch);
            }
            blend::chroma_levels(upper, lower, &mut self.chroma);
            for (index, plane) in planes.iter_mut().enumerate().skip(1) {
                self.tables.row_in_place(info, index, (top + y) / 2, plane, &self.chroma, &mut scratch);
            }
        }
    }
}

impl Tables {
    /// Blends row `y` of a plane of a picture like `info` with itself.
    fn row_in_place(&self, info: &PictureInfo, index: usize, y: usize, plane: &mut PlaneMut, levels: &[u16], scratch: &mut Vec<u8>) {
        let bytes = info.format.plane_size(index, info.width_px, info.height_px).0 * info.format.sample_bytes();
        let row = &mut plane.data[y * plane.stride_bytes..][..bytes];
        scratch.clear();
        scratch.extend_from_slice(row);
        self.row(info.format, index, scratch, row, levels);
    }
}

/// Draws the caption over the bottom of a still.
pub fn draw_on_still(caption: &Caption, still: &mut Still) {
    let Some(layout) = StripLayout::new(still.width_px, still.height_px) else { return };
    let table = table(0.0, 255.0);
    let coverage = layout.rasterise(caption);
    let levels: Vec<u16> = coverage.iter().flat_map(|&covered| [covered; 3]).collect();
    let strip = &mut still.rgb[layout.top * layout.width * 3..];
    let before = strip.to_vec();
    blend::bytes(&before, strip, &levels, &table);
}

/// A strip of its own for a text below a picture of this width: rows of `width` pixels, white on black, and how many.
pub fn label(text: &str, width: usize) -> Option<(Vec<u8>, usize)> {
    let layout = StripLayout::new(width, width)?;
    let coverage = layout.rasterise(&Caption { left: text.to_owned(), right: String::new() });
    Some((coverage.iter().map(|&covered| covered as u8).collect(), layout.height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_grows_with_the_picture_and_small_pictures_have_none() {
        let text = |width, height| StripLayout::new(width, height).map(|layout| layout.glyph.raster().val() * layout.scale);
        assert_eq!(text(320, 180), Some(16));
        assert_eq!(text(1280, 720), Some(32));
        assert_eq!(text(1920, 1080), Some(48));
        assert_eq!(text(3840, 2160), Some(96));
        assert_eq!(text(1080, 1920), Some(40));
        assert_eq!(text(64, 32), None);
        assert_eq!(text(32, 720), None);
    }

    #[test]
    fn too_little_room_shortens_the_left_then_drops_the_right() {
        let caption = Caption { left: "golden retriever 87 %".into(), right: "residual 1e-6".into() };
        let texts = |room| {
            let (left, right) = fit(&caption, room);
            (left.into_iter().collect::<String>(), right.into_iter().collect::<String>())
        };
        assert_eq!(texts(36), ("golden retriever 87 %".into(), "residual 1e-6".into()));
        assert_eq!(texts(30), ("golden retrie..".into(), "residual 1e-6".into()));
        assert_eq!(texts(26), ("golden retriever 87 %".into(), String::new()));
        assert_eq!(texts(8), ("golden..".into(), String::new()));
        assert_eq!(texts(1), (".".into(), String::new()));
    }

    #[test]
    fn glyphs_are_where_the_text_is() {
        let layout = StripLayout::new(320, 180).expect("room for text");
        let coverage = layout.rasterise(&Caption { left: "A\u{1F600}".into(), right: "B".into() });
        let ink = |from: usize, to: usize| coverage.chunks(320).flat_map(|row| &row[from..to]).map(|&v| usize::from(v)).sum::<usize>();
        assert!(ink(0, 16) > 1000 && ink(300, 320) > 1000);
        assert_eq!(ink(40, 280), 0);
    }
}
