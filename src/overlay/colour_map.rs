//! Colour maps: a saliency of 0..=1 to a colour.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

/// Which colours stand for low and high saliency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ColourMap {
    /// Blue, green, yellow, red: Google's rainbow with even lightness steps.
    #[default]
    Turbo,
    /// Black, purple, orange, pale yellow.
    Inferno,
    /// Purple, green, yellow.
    Viridis,
    /// Black, purple, pink, cream.
    Magma,
    /// The classic rainbow.
    Jet,
    /// Black to white.
    Grey,
}

/// Seventeen evenly spaced samples (0xRRGGBB) of a published map; between them colours run straight, within 7 of 255 of the map.
type Samples = [u32; 17];

/// Sampled from matplotlib 3's "turbo" (A. Mikhailov, Google, 2019; Apache-2.0).
const TURBO: Samples = [
    0x30123b, 0x4040a1, 0x466be3, 0x4293ff, 0x29bbec, 0x18dcc3, 0x31f299, 0x6bfd64, 0xa3fd3c, 0xcced34, 0xedd03a, 0xfdae35, 0xfb8022,
    0xec520f, 0xd23105, 0xac1701, 0x7a0403,
];

/// Sampled from matplotlib 3's "inferno" (N. Smith and S. van der Walt, 2015; CC0).
const INFERNO: Samples = [
    0x000004, 0x0b0724, 0x210c4a, 0x3c0965, 0x57106d, 0x70196e, 0x89226a, 0xa32b61, 0xbb3755, 0xd14644, 0xe35932, 0xf1711e, 0xf98d0a,
    0xfcab0f, 0xf9ca32, 0xf2e865, 0xfcffa4,
];

/// Sampled from matplotlib 3's "viridis" (N. Smith and S. van der Walt, 2015; CC0).
const VIRIDIS: Samples = [
    0x440154, 0x48186a, 0x472d7b, 0x424086, 0x3b528b, 0x33638d, 0x2c728e, 0x26818e, 0x21908c, 0x1f9f88, 0x28ae80, 0x3ebc74, 0x5dc963,
    0x82d34c, 0xabdc32, 0xd5e21a, 0xfde725,
];

/// Sampled from matplotlib 3's "magma" (N. Smith and S. van der Walt, 2015; CC0).
const MAGMA: Samples = [
    0x000004, 0x0a0822, 0x1d1146, 0x36106a, 0x50127c, 0x691c81, 0x822681, 0x9c2e7f, 0xb63779, 0xcf4170, 0xe65163, 0xf5695c, 0xfb8761,
    0xfea571, 0xfec387, 0xfde0a2, 0xfcfdbf,
];

impl ColourMap {
    /// All of them, in the order in which help texts name them.
    pub const ALL: [ColourMap; 6] =
        [ColourMap::Turbo, ColourMap::Inferno, ColourMap::Viridis, ColourMap::Magma, ColourMap::Jet, ColourMap::Grey];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            ColourMap::Turbo => "turbo",
            ColourMap::Inferno => "inferno",
            ColourMap::Viridis => "viridis",
            ColourMap::Magma => "magma",
            ColourMap::Jet => "jet",
            ColourMap::Grey => "grey",
        }
    }

    /// The colour (red, green, blue; 0..=1) of `value`, which is clamped to 0..=1.
    pub fn rgb(self, value: f32) -> [f32; 3] {
        let value = value.clamp(0.0, 1.0);
        match self {
            ColourMap::Turbo => between(&TURBO, value),
            ColourMap::Inferno => between(&INFERNO, value),
            ColourMap::Viridis => between(&VIRIDIS, value),
            ColourMap::Magma => between(&MAGMA, value),
            // Three trapezoids, a quarter of the range apart.
            ColourMap::Jet => [3.0, 2.0, 1.0].map(|centre: f32| (1.5 - (4.0 * value - centre).abs()).clamp(0.0, 1.0)),
            ColourMap::Grey => [value; 3],
        }
    }
}

fn between(samples: &Samples, value: f32) -> [f32; 3] {
    let at = value * (samples.len() - 1) as f32;
    let index = (at as usize).min(samples.len() - 2);
    let t = at - index as f32;
    [16, 8, 0].map(|shift| {
        let channel = |sample: u32| ((sample >> shift) & 0xff) as f32 / 255.0;
        channel(samples[index]) * (1.0 - t) + channel(samples[index + 1]) * t
    })
}

impl fmt::Display for ColourMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for ColourMap {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        ColourMap::ALL.into_iter().find(|map| map.name() == text).ok_or_else(|| {
            Error::usage(format!("no colour map is called \"{text}\": take one of {}", ColourMap::ALL.map(ColourMap::name).join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for map in ColourMap::ALL {
            assert_eq!(map.to_string().parse::<ColourMap>().expect("own name"), map);
        }
        let error = "rainbow".parse::<ColourMap>().expect_err("unknown").to_string();
        assert!(error.contains("rainbow") && error.contains("turbo, inferno"), "{error}");
    }

    #[test]
    fn colours_are_near_the_published_ones() {
        // Entries 40, 100 and 200 of the 256 published ones, none of which is a sample here.
        let published = [
            (ColourMap::Turbo, [0x4680f6, 0x3ff68a, 0xf46617]),
            (ColourMap::Inferno, [0x2f0a5b, 0x902568, 0xfb9d07]),
            (ColourMap::Viridis, [0x453781, 0x2a768e, 0x70cf57]),
            (ColourMap::Magma, [0x29115a, 0x892881, 0xfd9869]),
            (ColourMap::Jet, [0x0020ff, 0x11ffee, 0xff5c00]),
            (ColourMap::Grey, [0x282828, 0x646464, 0xc8c8c8]),
        ];
        for (map, colours) in published {
            for (entry, colour) in [40.0, 100.0, 200.0].into_iter().zip(colours) {
                let wanted = [16, 8, 0].map(|shift| ((colour >> shift) & 0xff) as f32);
                let got = map.rgb(entry / 255.0).map(|v| v * 255.0);
                assert!(got.iter().zip(wanted).all(|(a, b): (&f32, f32)| (a - b).abs() < 7.0), "{map} {entry}: {got:?} for {wanted:?}");
            }
        }
    }
}
