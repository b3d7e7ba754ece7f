//! A frame's or still's view for the network: cropped or fitted, reduced, in RGB, normalised; in one pass over the planes.
//!
//! The planes are averaged at the network's resolution first and only then converted from YUV to RGB, which is linear, so that the
//! order does not matter but for colours outside RGB's cube, clamped after averaging. Chroma is taken to lie in the middle of its
//! four pixels; where it lies left of that (most MPEG video) colour is off by half a pixel of the frame.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;
use crate::frame::{Frame, Matrix, PixelFormat, Still, View};
use crate::saliency::resample::{Axis, Samples, resample};

/// The channels that the network wants, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Colour {
    /// Red, green, blue.
    #[default]
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// Luma: of a frame its own, of a still BT.601's.
    Grey,
}

impl Colour {
    /// All of them.
    pub const ALL: [Colour; 3] = [Colour::Rgb, Colour::Bgr, Colour::Grey];

    /// Number of channels: 1 or 3.
    pub fn channels(self) -> usize {
        if self == Colour::Grey { 1 } else { 3 }
    }

    /// The name in manifests and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Colour::Rgb => "rgb",
            Colour::Bgr => "bgr",
            Colour::Grey => "grey",
        }
    }
}

/// How a picture comes to the network's shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Fit {
    /// The whole picture, stretched.
    #[default]
    Stretch,
    /// The largest part in the middle that has the network's shape.
    Crop,
    /// The whole picture in the middle, with borders.
    Pad,
}

impl Fit {
    /// All of them.
    pub const ALL: [Fit; 3] = [Fit::Stretch, Fit::Crop, Fit::Pad];

    /// The name in manifests and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Fit::Stretch => "stretch",
            Fit::Crop => "crop",
            Fit::Pad => "pad",
        }
    }
}

macro_rules! by_name {
    ($kind:ty, $what:literal) => {
        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }

        impl FromStr for $kind {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                Self::ALL.into_iter().find(|one| one.name() == text).ok_or_else(|| {
                    let names = Self::ALL.map(|one| one.name()).join(", ");
                    Error::usage(format!(concat!("no ", $what, " is called \"{}\": take one of {}"), text, names))
                })
            }
        }
    };
}

by_name!(Colour, "colour order");
by_name!(Fit, "fit");

/// What a network wants of a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Preprocessing {
    /// The network's input width.
    pub width: usize,
    /// The network's input height.
    pub height: usize,
    /// The channels.
    pub colour: Colour,
    /// Subtracted after scaling: one number for each channel, or one for all.
    pub mean: Vec<f32>,
    /// Divided by after that: one number for each channel, or one for all.
    pub std: Vec<f32>,
    /// The sample value of white before mean and std: 1.0, or 255.0 for networks that want bytes.
    pub scale: f32,
    /// How the picture comes to the network's shape.
    pub fit: Fit,
    /// Grey value of the borders of [`Fit::Pad`], 0..=1, normalised like a sample.
    pub pad: f32,
}

/// Where the picture goes: a part of it (fractions: left, top, right, bottom) to a rectangle of the input (pixels: x, y, width,
/// height).
#[derive(Debug, Clone, Copy, PartialEq)]
struct Placement {
    part: [f64; 4],
    at: [usize; 4],
}

impl Preprocessing {
    /// Values of the network's input: channels times height times width.
    pub fn len(&self) -> usize {
        self.colour.channels() * self.height * self.width
    }

    /// Whether the input has no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sizes are above zero, there is a mean and a std for each channel, nothing divides by zero.
    pub fn check(&self) -> Result<(), Error> {
        let channels = self.colour.channels();
        if self.is_empty() {
            return Err(Error::config(format!("the input size {}x{} has no pixels", self.width, self.height)));
        }
        for (name, values) in [("mean", &self.mean), ("std", &self.std)] {
            if values.len() != 1 && values.len() != channels {
                return Err(Error::config(format!(
                    "{name} has {} numbers for {channels} channels: give one, or one a channel",
                    values.len()
                )));
            }
            if values.iter().any(|value| !value.is_finite() || (name == "std" && *value == 0.0)) {
                return Err(Error::config(format!("{name} is {values:?}: give finite numbers, and for std none that is 0")));
            }
        }
        if !(self.scale.is_finite() && self.scale > 0.0) {
            return Err(Error::config(format!("scale is {}: give the value of white, 1 or 255", self.scale)));
        }
        if !(0.0..=1.0).contains(&self.pad) {
            return Err(Error::config(format!("pad is {}: give a grey value from 0 to 1", self.pad)));
        }
        Ok(())
    }

    /// The part of a picture of this size that the input shows; with [`Fit::Pad`] it reaches beyond the picture.
    pub fn view(&self, width_px: usize, height_px: usize, pixel_aspect: (u32, u32)) -> View {
        let Placement { part: [left, top, right, bottom], at: [x, y, width, height] } = self.placement(width_px, height_px, pixel_aspect);
        let along = |from: f64, to: f64, at: usize, extent: usize, whole: usize| {
            let pixel = (to - from) / extent as f64;
            ((from - pixel * at as f64) as f32, (pixel * whole as f64) as f32)
        };
        let (x, width) = along(left, right, x, width, self.width);
        let (y, height) = along(top, bottom, y, height, self.height);
        View { x, y, width, height }
    }

    /// Writes the input for `frame` to `out`: (C, H, W), row-major.
    ///
    /// # Panics
    /// When `out` has not [`Preprocessing::len`] values, or [`Preprocessing::check`] fails.
    pub fn frame(&self, frame: &dyn Frame, out: &mut [f32]) {
        let info = *frame.info();
        let placement = self.placement(info.width_px, info.height_px, info.pixel_aspect);
        let area = placement.at[2] * placement.at[3];
        let mut planes = vec![0.0; area * 3];
        let (luma, chroma) = planes.split_at_mut(area);
        let (u, v) = chroma.split_at_mut(area);
        let samples = |index: usize, components: usize| {
            let plane = frame.plane(index);
            Samples { data: plane.data, stride_bytes: plane.stride_bytes, sample_bytes: info.format.sample_bytes(), components }
        };
        let (across, down) = placement.axes([info.width_px, info.height_px]);
        resample(&samples(0, 1), &across, &down, &mut [luma]);
        if self.colour == Colour::Grey {
            // Neutral, so that the conversion gives luma in each channel.
            let neutral = info.samples_from_rgb([0.0; 3])[1];
            u.fill(neutral);
            v.fill(neutral);
        } else {
            let (width, height) = info.format.plane_size(1, info.width_px, info.height_px);
            let width = if info.format == PixelFormat::Nv12 { width / 2 } else { width };
            // An odd picture ends in the middle of its last chroma sample.
            let (across, down) = placement.axes_of([width, height], [info.width_px as f64 / 2.0, info.height_px as f64 / 2.0]);
            match info.format {
                PixelFormat::Nv12 => resample(&samples(1, 2), &across, &down, &mut [u, v]),
                PixelFormat::I420 | PixelFormat::I420Ten => {
                    resample(&samples(1, 1), &across, &down, &mut [u]);
                    resample(&samples(2, 1), &across, &down, &mut [v]);
                }
            }
        }
        // The conversion is affine: its columns are what it does to each sample.
        let zero = info.rgb_from_samples([0.0; 3]);
        let column = |samples: [f32; 3]| {
            let colour = info.rgb_from_samples(samples);
            [0, 1, 2].map(|c| colour[c] - zero[c])
        };
        let columns = [column([1.0, 0.0, 0.0]), column([0.0, 1.0, 0.0]), column([0.0, 0.0, 1.0])];
        self.write(&planes, placement, columns, zero, out);
    }

    /// Writes the input for `still` to `out`: (C, H, W), row-major.
    ///
    /// # Panics
    /// As [`Preprocessing::frame`].
    pub fn still(&self, still: &Still, out: &mut [f32]) {
        let placement = self.placement(still.width_px, still.height_px, (1, 1));
        let area = placement.at[2] * placement.at[3];
        let mut planes = vec![0.0; area * 3];
        let (red, rest) = planes.split_at_mut(area);
        let (green, blue) = rest.split_at_mut(area);
        let (across, down) = placement.axes([still.width_px, still.height_px]);
        let samples = Samples { data: &still.rgb, stride_bytes: still.width_px * 3, sample_bytes: 1, components: 3 };
        resample(&samples, &across, &down, &mut [red, green, blue]);
        let unit = 1.0 / 255.0;
        let columns = if self.colour == Colour::Grey {
            let (kr, kb) = Matrix::Bt601.weights();
            [[kr * unit; 3], [(1.0 - kr - kb) * unit; 3], [kb * unit; 3]]
        } else {
            [[unit, 0.0, 0.0], [0.0, unit, 0.0], [0.0, 0.0, unit]]
        };
        self.write(&planes, placement, columns, [0.0; 3], out);
    }

    /// Converts three planes of averages to the channels, clamped to 0..=1, normalised, at their place in `out`.
    fn write(&self, planes: &[f32], placement: Placement, columns: [[f32; 3]; 3], offset: [f32; 3], out: &mut [f32]) {
        assert_eq!(out.len(), self.len(), "values of the network's input");
        let [x, y, width, height] = placement.at;
        let (a, rest) = planes.split_at(width * height);
        let (b, c) = rest.split_at(width * height);
        let order: &[usize] = match self.colour {
            Colour::Rgb => &[0, 1, 2],
            Colour::Bgr => &[2, 1, 0],
            // All three are the same.
            Colour::Grey => &[0],
        };
        for (channel, (&from, out)) in order.iter().zip(out.chunks_exact_mut(self.width * self.height)).enumerate() {
            let of = |values: &[f32]| values[if values.len() == 1 { 0 } else { channel }];
            let factor = self.scale / of(&self.std);
            let shift = -of(&self.mean) / of(&self.std);
            if (width, height) != (self.width, self.height) {
                out.fill(self.pad * factor + shift);
            }
            let [ka, kb, kc] = [columns[0][from], columns[1][from], columns[2][from]];
            for row in 0..height {
                let span = row * width..(row + 1) * width;
                let to = &mut out[(y + row) * self.width + x..][..width];
                for (((to, &a), &b), &c) in to.iter_mut().zip(&a[span.clone()]).zip(&b[span.clone()]).zip(&c[span]) {
                    let value = offset[from] + ka * a + kb * b + kc * c;
                    *to = value.clamp(0.0, 1.0) * factor + shift;
                }
            }
        }
    }

    fn placement(&self, width_px: usize, height_px: usize, pixel_aspect: (u32, u32)) -> Placement {
        assert!(!self.is_empty() && width_px > 0 && height_px > 0, "{width_px}x{height_px} to {}x{}", self.width, self.height);
        let pixel = match pixel_aspect {
            (0, _) | (_, 0) => 1.0,
            (x, y) => f64::from(x) / f64::from(y),
        };
        // Above 1: the picture is wider than the input.
        let wider = (width_px as f64 * pixel * self.height as f64) / (height_px as f64 * self.width as f64);
        let whole = Placement { part: [0.0, 0.0, 1.0, 1.0], at: [0, 0, self.width, self.height] };
        let middle = |extent: f64| (0.5 - extent / 2.0, 0.5 + extent / 2.0);
        let border = |extent: f64, all: usize| {
            let extent = (extent.round() as usize).clamp(1, all);
            ((all - extent) / 2, extent)
        };
        match self.fit {
            Fit::Stretch => whole,
            Fit::Crop if wider > 1.0 => {
                let (left, right) = middle(1.0 / wider);
                Placement { part: [left, 0.0, right, 1.0], ..whole }
            }
            Fit::Crop => {
                let (top, bottom) = middle(wider);
                Placement { part: [0.0, top, 1.0, bottom], ..whole }
            }
            Fit::Pad if wider > 1.0 => {
                let (y, height) = border(self.height as f64 / wider, self.height);
                Placement { at: [0, y, self.width, height], ..whole }
            }
            Fit::Pad => {
                let (x, width) = border(self.width as f64 * wider, self.width);
                Placement { at: [x, 0, width, self.height], ..whole }
            }
        }
    }
}

impl Placement {
    /// The axes across and down a plane of this size.
    fn axes(&self, [width, height]: [usize; 2]) -> (Axis, Axis) {
        self.axes_of([width, height], [width as f64, height as f64])
    }

    /// The same where the picture ends at `extent` samples of the plane.
    fn axes_of(&self, [width, height]: [usize; 2], [across, down]: [f64; 2]) -> (Axis, Axis) {
        let [left, top, right, bottom] = self.part;
        (Axis::new(self.at[2], left * across, right * across, width), Axis::new(self.at[3], top * down, bottom * down, height))
    }
}

#[cfg(test)]
#[path = "preprocess_tests.rs"]
mod tests;
