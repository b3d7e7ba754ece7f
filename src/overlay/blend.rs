//! Tables of colour and opacity for each saliency level, and the loops that apply them to rows of samples.

use crate::frame::{PictureInfo, PixelFormat};
use crate::overlay::Settings;
use crate::overlay::levels::TOP;
use crate::simd;

/// Fractional bits of the factors: a ten-bit sample times a factor fits in 32 bits.
const FRACTION: u32 = 15;
/// Pixels looked at together for whether anything is to be done.
const BLOCK: usize = 32;
/// Saliency over which the heatmap comes in above the floor.
const RAMP: f32 = 0.2;
/// Opacity just above the ramp as a share of the opacity at saliency 1.
const LEAST: f32 = 0.5;

/// How opaque the heatmap is at each level.
#[derive(Debug, Clone, Copy)]
pub enum Opacity {
    /// Everywhere fully.
    Full,
    /// Not at all below `floor`, then growing with saliency to `top`.
    Ramp {
        /// Opacity at saliency 1.
        top: f32,
        /// Saliency below which it is 0.
        floor: f32,
    },
}

impl Opacity {
    /// Opacity at `value` of 0..=1.
    pub fn at(self, value: f32) -> f32 {
        match self {
            Opacity::Full => 1.0,
            Opacity::Ramp { top, floor } => {
                let t = ((value - floor) / RAMP.min((1.0 - floor).max(f32::EPSILON))).clamp(0.0, 1.0);
                let smooth = t * t * (3.0 - 2.0 * t);
                top * smooth * (LEAST + (1.0 - LEAST) * value)
            }
        }
    }
}

/// How many levels a table has: a power of two, so that a level with its upper bits cut off needs no other check.
const LEVELS: usize = TOP as usize + 1;
type Entries = [[u32; 2]; LEVELS];

/// For each level: the sample's factor and what is added, both times 2^15, the rounding included.
#[derive(Debug, Clone)]
pub struct Table {
    entries: Box<Entries>,
    /// Levels below this one leave the sample as it is.
    first: u16,
}

impl Table {
    /// A table of `count` levels; `entry` gives the opacity and the sample value of a level.
    ///
    /// # Panics
    /// When `count` is 0 or more than there are levels.
    pub fn new(count: usize, entry: impl Fn(usize) -> (f32, f32)) -> Self {
        let one = (1u32 << FRACTION) as f32;
        let mut entries = Box::new([[1 << FRACTION, 0]; LEVELS]);
        for (level, to) in entries[..count].iter_mut().enumerate() {
            let (opacity, sample) = entry(level);
            let factor = ((1.0 - opacity) * one).round();
            // From the rounded factor, so that blending a colour with itself gives that colour.
            let added = (one - factor) * sample;
            *to = [factor as u32, added.round() as u32 + (1 << (FRACTION - 1))];
        }
        let first = entries.iter().take_while(|entry| entry[0] == 1 << FRACTION).count();
        Self { entries, first: first as u16 }
    }
}

/// One table for each of luma and the two chroma components.
#[derive(Debug, Clone)]
pub struct Tables([Table; 3]);

impl Tables {
    /// The heatmap's colours in the samples of `info`.
    pub fn heatmap(settings: &Settings, info: &PictureInfo) -> Self {
        let opacity = Opacity::of(settings);
        let value = |level: usize| level as f32 / f32::from(TOP);
        let table = |component: usize| {
            Table::new(usize::from(TOP) + 1, |level| {
                let samples = info.samples_from_rgb(settings.colour_map.rgb(value(level)));
                (opacity.at(value(level)), samples[component])
            })
        };
        Self([table(0), table(1), table(2)])
    }

    /// Tables by hand, in the order Y, U, V.
    pub fn of(tables: [Table; 3]) -> Self {
        Self(tables)
    }

    /// Blends a row of plane `index`. `levels` has one for each sample, or for each pair in NV12's second plane.
    pub fn row(&self, format: PixelFormat, index: usize, from: &[u8], to: &mut [u8], levels: &[u16]) {
        match (format, index) {
            (PixelFormat::Nv12, 1) => pairs(from, to, levels, &self.0[1], &self.0[2]),
            (PixelFormat::I420Ten, _) => words(from, to, levels, &self.0[index]),
            _ => bytes(from, to, levels, &self.0[index]),
        }
    }
}

/// Blends a row of 8-bit samples.
pub fn bytes(from: &[u8], to: &mut [u8], levels: &[u16], table: &Table) {
    let entries = &*table.entries;
    for ((from, to), levels) in from.chunks(BLOCK).zip(to.chunks_mut(BLOCK)).zip(levels.chunks(BLOCK)) {
        if untouched(levels, table.first) {
            to.copy_from_slice(from);
            continue;
        }
        for ((&from, to), &level) in from.iter().zip(to).zip(levels) {
            *to = apply(entries, level, u32::from(from)) as u8;
        }
    }
}

/// Blends a row of ten-bit samples in little-endian words.
fn words(from: &[u8], to: &mut [u8], levels: &[u16], table: &Table) {
    let entries = &*table.entries;
    for ((from, to), levels) in from.chunks(2 * BLOCK).zip(to.chunks_mut(2 * BLOCK)).zip(levels.chunks(BLOCK)) {
        if untouched(levels, table.first) {
            to.copy_from_slice(from);
            continue;
        }
        for ((from, to), &level) in from.chunks_exact(2).zip(to.chunks_exact_mut(2)).zip(levels) {
            let sample = u16::from_le_bytes([from[0], from[1]]);
            to.copy_from_slice(&(apply(entries, level, u32::from(sample)) as u16).to_le_bytes());
        }
    }
}

/// Blends a row of interleaved 8-bit chroma pairs.
fn pairs(from: &[u8], to: &mut [u8], levels: &[u16], u: &Table, v: &Table) {
    for ((from, to), levels) in from.chunks(2 * BLOCK).zip(to.chunks_mut(2 * BLOCK)).zip(levels.chunks(BLOCK)) {
        if untouched(levels, u.first) {
            to.copy_from_slice(from);
            continue;
        }
        for ((from, to), &level) in from.chunks_exact(2).zip(to.chunks_exact_mut(2)).zip(levels) {
            to[0] = apply(&u.entries, level, u32::from(from[0])) as u8;
            to[1] = apply(&v.entries, level, u32::from(from[1])) as u8;
        }
    }
}

/// Blends a row of interleaved 8-bit red, green and blue.
pub fn triples(from: &[u8], to: &mut [u8], levels: &[u16], tables: &[Table; 3]) {
    for ((from, to), &level) in from.chunks_exact(3).zip(to.chunks_exact_mut(3)).zip(levels) {
        for (channel, table) in tables.iter().enumerate() {
            to[channel] = apply(&table.entries, level, u32::from(from[channel])) as u8;
        }
    }
}

fn untouched(levels: &[u16], first: u16) -> bool {
    levels.iter().fold(0, |most, &level| most.max(level)) < first
}

#[inline(always)]
fn apply(entries: &Entries, level: u16, sample: u32) -> u32 {
    let [factor, added] = entries[usize::from(level) % LEVELS];
    (sample * factor + added) >> FRACTION
}

simd::dispatch! {
    /// The level of each chroma sample: the mean of its two by two pixels (rows `upper` and `lower`; the last column of an odd
    /// width counts twice).
    pub fn chroma_levels(upper: &[u16], lower: &[u16], out: &mut [u16]) {
        let pairs = upper.len() / 2;
        for ((out, upper), lower) in out.iter_mut().zip(upper.chunks_exact(2)).zip(lower.chunks_exact(2)) {
            *out = (upper[0] + upper[1] + lower[0] + lower[1] + 2) >> 2;
        }
        if upper.len() % 2 == 1 {
            out[pairs] = (upper[2 * pairs] + lower[2 * pairs] + 1) >> 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opacity_rises_from_the_floor_to_the_top() {
        let opacity = Opacity::Ramp { top: 0.6, floor: 0.15 };
        assert_eq!(opacity.at(0.0), 0.0);
        assert_eq!(opacity.at(0.15), 0.0);
        assert!((opacity.at(1.0) - 0.6).abs() < 1e-6);
        let steps: Vec<f32> = (0..=100).map(|i| opacity.at(i as f32 / 100.0)).collect();
        assert!(steps.windows(2).all(|w| w[1] >= w[0] && w[1] - w[0] < 0.04), "{steps:?}");
        assert_eq!(Opacity::Ramp { top: 0.6, floor: 1.0 }.at(0.99), 0.0);
    }

    #[test]
    fn a_colour_blended_with_itself_stays() {
        for sample in [16u32, 128, 255, 1023] {
            let table = Table::new(64, |level| (level as f32 / 63.0, sample as f32));
            for level in 0..64 {
                assert_eq!(apply(&table.entries, level, sample), sample);
            }
        }
    }

    #[test]
    fn odd_widths_average_their_last_column_alone() {
        let mut out = [0; 3];
        chroma_levels(&[0, 4, 8, 8, 10], &[4, 8, 8, 8, 20], &mut out);
        assert_eq!(out, [4, 8, 15]);
    }
}
