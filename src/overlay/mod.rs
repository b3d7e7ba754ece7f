//! The overlay: a heatmap in colours, blended on the planes of a frame as the decoder made them.
//!
//! Blending is linear and so is the step from RGB to YUV, so blending the samples is blending the colours: no plane is converted.
//! Each saliency level has its colour and opacity in a table; a row of levels is made by bilinear upsampling, and each sample is
//! one multiplication, one addition and one shift. The source planes are read once, the destination planes are written once.

mod blend;
mod caption;
mod colour_map;
mod levels;
mod normalise;
mod plate;
mod region;
mod sheet;
mod still;

use std::fmt;
use std::str::FromStr;

pub use caption::Caption;
pub use colour_map::ColourMap;
pub use normalise::Normaliser;
pub use plate::Plate;
pub use region::{Region, share};
pub use sheet::draw_sheet;
pub use still::draw_still;

pub use crate::frame::View;

use crate::error::{Error, Result};
use crate::frame::{Frame, FrameMut, PictureInfo, PixelFormat, Plane, PlaneMut};
use blend::{Opacity, Tables};
use caption::Strip;
use levels::Levels;

/// What the output shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Layout {
    /// The heatmap over the picture.
    #[default]
    Blend,
    /// The picture at the left, the same with the heatmap over it at the right.
    Side,
    /// The heatmap alone. Where the map does not reach it has the colour of zero.
    Map,
}

impl Layout {
    /// All of them.
    pub const ALL: [Layout; 3] = [Layout::Blend, Layout::Side, Layout::Map];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Layout::Blend => "blend",
            Layout::Side => "side",
            Layout::Map => "map",
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Layout {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Layout::ALL.into_iter().find(|layout| layout.name() == text).ok_or_else(|| {
            Error::usage(format!("no layout is called \"{text}\": take one of {}", Layout::ALL.map(Layout::name).join(", ")))
        })
    }
}

/// How the overlay looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// The colours.
    pub colour_map: ColourMap,
    /// How much of the heatmap's colour the most salient point gets, 0..=1.
    pub opacity: f32,
    /// Normalised saliency below which the picture is left alone, 0..=1; above it the heatmap comes in smoothly.
    pub floor: f32,
    /// What the output shows.
    pub layout: Layout,
    /// Whether a caption is drawn.
    pub caption: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { colour_map: ColourMap::Turbo, opacity: 0.6, floor: 0.15, layout: Layout::Blend, caption: false }
    }
}

impl Settings {
    /// Opacity and floor are fractions.
    pub fn check(&self) -> Result<()> {
        for (name, value) in [("opacity", self.opacity), ("floor", self.floor)] {
            if !(0.0..=1.0).contains(&value) {
                return Err(Error::usage(format!("the overlay's {name} is {value}: give a number from 0 to 1")));
            }
        }
        Ok(())
    }
}

/// A normalised saliency map, ready to be coloured.
#[derive(Debug, Clone, PartialEq)]
pub struct Heatmap {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// 0..=1, row-major.
    pub values: Vec<f32>,
}

/// Draws heatmaps over the frames of one stream. Made for one size, format and colour.
#[derive(Debug)]
pub struct Overlay {
    settings: Settings,
    source: PictureInfo,
    tables: Tables,
    /// See [`Overlay::fade`].
    strength: f32,
    levels: Levels,
    rows: [Vec<u16>; 2],
    chroma: Vec<u16>,
    strip: Option<Strip>,
}

impl Overlay {
    /// For pictures like `source`.
    pub fn new(settings: Settings, source: &PictureInfo) -> Result<Self> {
        settings.check()?;
        if source.width_px == 0 || source.height_px == 0 {
            return Err(Error::data(format!("a picture of {}x{} pixels cannot be drawn on", source.width_px, source.height_px)));
        }
        let mut overlay = Self {
            settings,
            source: *source,
            tables: Tables::heatmap(&settings, source),
            strength: 1.0,
            levels: Levels::default(),
            rows: [vec![0; source.width_px], vec![0; source.width_px]],
            chroma: vec![0; source.width_px.div_ceil(2)],
            strip: None,
        };
        let output = overlay.output_info();
        overlay.strip = if settings.caption { Strip::new(&output) } else { None };
        Ok(overlay)
    }

    /// From now on the heatmap is drawn with this share of its opacity, 0..=1, in steps of a 32nd. [`Layout::Map`], which has no picture
    /// to show through, does not fade.
    pub fn fade(&mut self, strength: f32) {
        let strength = (strength.clamp(0.0, 1.0) * 32.0).round() / 32.0;
        if strength != self.strength {
            self.strength = strength;
            let settings = Settings { opacity: self.settings.opacity * strength, ..self.settings };
            self.tables = Tables::heatmap(&settings, &self.source);
        }
    }

    /// What [`Overlay::draw`] writes: like the source; with [`Layout::Side`] twice as wide, each half rounded up to an even width.
    pub fn output_info(&self) -> PictureInfo {
        match self.settings.layout {
            Layout::Side => PictureInfo { width_px: self.source.width_px.next_multiple_of(2) * 2, ..self.source },
            Layout::Blend | Layout::Map => self.source,
        }
    }

    /// Draws `heatmap`, which covers `view` of the picture, over `picture` into `out`.
    ///
    /// # Panics
    /// When `picture` is not as given to [`Overlay::new`], `out` not as [`Overlay::output_info`] says, or `heatmap` has not
    /// `width * height` values.
    pub fn draw(&mut self, picture: &dyn Frame, heatmap: &Heatmap, view: &View, caption: Option<&Caption>, out: &mut dyn FrameMut) {
        let output = self.output_info();
        assert!(same_layout(picture.info(), &self.source), "picture is {:?}, the overlay was made for {:?}", picture.info(), self.source);
        assert!(same_layout(out.info(), &output), "output is {:?}, the overlay draws {output:?}", out.info());
        let (width, height) = (self.source.width_px, self.source.height_px);
        let format = self.source.format;
        let planes: Vec<Plane> = (0..format.planes()).map(|index| picture.plane(index)).collect();
        let mut outs = out.planes_mut();
        self.levels.set(heatmap, view, width, height);
        for chroma_y in 0..height.div_ceil(2) {
            for half in 0..2 {
                let y = 2 * chroma_y + half;
                if y < height {
                    self.levels.row(y, &mut self.rows[half]);
                    self.row(&planes[0], &mut outs[0], 0, y, &self.rows[half]);
                }
            }
            let second = if 2 * chroma_y + 1 < height { 1 } else { 0 };
            blend::chroma_levels(&self.rows[0], &self.rows[second], &mut self.chroma);
            for index in 1..format.planes() {
                self.row(&planes[index], &mut outs[index], index, chroma_y, &self.chroma);
            }
        }
        if let (Some(strip), Some(caption)) = (&mut self.strip, caption) {
            strip.draw(caption, &output, &mut outs);
        }
    }

    /// Blends row `y` of plane `index`; `levels` has one value a sample (NV12 chroma: one a pair).
    fn row(&self, plane: &Plane, out: &mut PlaneMut, index: usize, y: usize, levels: &[u16]) {
        let format = self.source.format;
        let bytes = format.plane_size(index, self.source.width_px, self.source.height_px).0 * format.sample_bytes();
        let from = &plane.data[y * plane.stride_bytes..][..bytes];
        let to = &mut out.data[y * out.stride_bytes..];
        let to = if self.settings.layout == Layout::Side {
            let half = format.plane_size(index, self.source.width_px.next_multiple_of(2), 2).0 * format.sample_bytes();
            let (left, right) = to.split_at_mut(half);
            left[..bytes].copy_from_slice(from);
            extend(left, bytes, format);
            &mut right[..half]
        } else {
            &mut to[..bytes]
        };
        self.tables.row(format, index, from, &mut to[..bytes], levels);
        extend(to, bytes, format);
    }
}

/// Repeats the last sample from byte `bytes` on; only luma of an odd width has anything there.
fn extend(row: &mut [u8], bytes: usize, format: PixelFormat) {
    let sample = format.sample_bytes();
    if row.len() > bytes {
        row.copy_within(bytes - sample..bytes, bytes);
    }
}

fn same_layout(a: &PictureInfo, b: &PictureInfo) -> bool {
    (a.width_px, a.height_px, a.format) == (b.width_px, b.height_px, b.format)
}

impl Opacity {
    fn of(settings: &Settings) -> Self {
        match settings.layout {
            Layout::Map => Opacity::Full,
            Layout::Blend | Layout::Side => Opacity::Ramp { top: settings.opacity, floor: settings.floor },
        }
    }
}

#[cfg(test)]
mod tests;
