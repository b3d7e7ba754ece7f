//! Which network, and how a picture becomes its input.

use std::str::FromStr;

use clap::ValueEnum;

use crate::config::model::DEFAULT_NETWORK;

/// Options that name a network and say how its input is prepared.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Network")]
pub struct NetworkOptions {
    /// The network: a name that `gradcast check` lists, a manifest FILE.toml, or FILE.onnx.
    ///
    /// FILE.onnx takes its preprocessing from FILE.toml beside it or from the options below. For pictures and video without either it is refused: `gradcast inspect --model FILE.onnx --write-manifest` writes a manifest to fill in.
    #[arg(long, value_name = "NAME|FILE", default_value = DEFAULT_NETWORK)]
    pub model: String,

    /// Mean of each channel, one number or one a channel as R,G,B, in units where white is 1, or the manifest's scale [default: the manifest's].
    #[arg(long, value_name = "R,G,B", allow_hyphen_values = true)]
    pub mean: Option<PerChannel>,

    /// Standard deviation of each channel, given as --mean is [default: the manifest's].
    #[arg(long, value_name = "R,G,B", value_parser = parse_std)]
    pub std: Option<PerChannel>,

    /// Order of the channels that the network takes [default: the manifest's].
    #[arg(long, value_enum)]
    pub colour: Option<Colour>,

    /// How a picture fits the network's input [default: the manifest's].
    #[arg(long, value_enum)]
    pub fit: Option<Fit>,

    /// Width and height of the network's input in pixels, as 224x224 or 224 [default: the manifest's, else what the network fixes].
    #[arg(long, value_name = "WxH")]
    pub input_size: Option<InputSize>,

    /// Which output to explain, where a network has several [default: the manifest's, else the only one].
    #[arg(long, value_name = "NAME")]
    pub output: Option<String>,
}

/// Order of a network's input channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// One channel, luma.
    Grey,
}

/// How a picture of another shape fits the network's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Fit {
    /// The whole picture, its sides scaled apart.
    Stretch,
    /// The middle of the picture, as much as fits the shape; the rest is not seen.
    Crop,
    /// The whole picture, its shape kept, with borders.
    Pad,
}

/// One number for all channels or one for each.
#[derive(Debug, Clone, PartialEq)]
pub struct PerChannel(pub Vec<f64>);

impl FromStr for PerChannel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let values = text
            .split(',')
            .map(|part| part.trim().parse().ok().filter(|v: &f64| v.is_finite()).ok_or_else(|| format!("`{part}` is no number")))
            .collect::<Result<Vec<f64>, String>>()?;
        match values.len() {
            1 | 3 => Ok(PerChannel(values)),
            n => Err(format!("{n} numbers given; give one for all channels, or three as 0.485,0.456,0.406")),
        }
    }
}

fn parse_std(text: &str) -> Result<PerChannel, String> {
    let std: PerChannel = text.parse()?;
    if std.0.iter().all(|&v| v > 0.0) { Ok(std) } else { Err("a standard deviation is above 0".to_owned()) }
}

/// Size of the network's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputSize {
    /// Columns.
    pub width_px: usize,
    /// Rows.
    pub height_px: usize,
}

impl FromStr for InputSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const HINT: &str = "give pixels as 224x224 or 224, each from 1 to 8192";
        let (width, height) = text.split_once('x').unwrap_or((text, text));
        let side = |side: &str| side.parse().ok().filter(|v| (1..=8192).contains(v)).ok_or_else(|| HINT.to_owned());
        Ok(InputSize { width_px: side(width)?, height_px: side(height)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channel_numbers() {
        assert_eq!("0.5".parse(), Ok(PerChannel(vec![0.5])));
        assert_eq!("0.485, 0.456,-0.4".parse(), Ok(PerChannel(vec![0.485, 0.456, -0.4])));
        assert!("1,2".parse::<PerChannel>().is_err_and(|e| e.starts_with("2 numbers given")));
        assert_eq!("1,x,3".parse::<PerChannel>(), Err("`x` is no number".to_owned()));
        assert_eq!("inf".parse::<PerChannel>(), Err("`inf` is no number".to_owned()));
        assert!(parse_std("0.5,0,0.5").is_err());
    }

    #[test]
    fn sizes() {
        assert_eq!("224".parse(), Ok(InputSize { width_px: 224, height_px: 224 }));
        assert_eq!("640x352".parse(), Ok(InputSize { width_px: 640, height_px: 352 }));
        for bad in ["0x2", "x", "-3", "224x", "9000"] {
            assert!(bad.parse::<InputSize>().is_err(), "{bad}");
        }
    }
}
