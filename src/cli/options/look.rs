//! How the overlay looks.

use std::num::NonZeroUsize;
use std::time::Duration;

use clap::ValueEnum;

/// How a saliency map is laid over a picture.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Look")]
pub struct LookOptions {
    /// Colours of the heatmap, from little to much saliency.
    #[arg(long, value_enum, default_value_t = ColourMap::Turbo)]
    pub colour_map: ColourMap,

    /// How much of the picture the heatmap covers where saliency is greatest, from 0 to 1.
    #[arg(long, value_name = "0..1", default_value = "0.6", value_parser = parse_share)]
    pub opacity: f32,

    /// Saliency, from 0 to 1 of the range shown, below which the picture is left alone.
    #[arg(long, value_name = "0..1", default_value = "0.15", value_parser = parse_share)]
    pub floor: f32,

    /// What is shown.
    #[arg(long, value_enum, default_value_t = Layout::Blend)]
    pub layout: Layout,

    /// Write class, probability and completeness residual on a strip at the bottom [default: no strip].
    #[arg(long)]
    pub caption: bool,
}

/// How the overlay follows time. Only moving pictures have it.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Look")]
pub struct RhythmOptions {
    /// Seconds over which the range of the heatmap is averaged, so that it does not flicker; 0 takes each frame's own.
    #[arg(long, value_name = "SECONDS", default_value = "0.5", value_parser = crate::words::seconds)]
    pub smooth: Duration,

    /// Explain every K-th frame only; --between says what the others show.
    #[arg(long, value_name = "K", default_value = "1")]
    pub every: NonZeroUsize,

    /// What frames between two explained ones show.
    #[arg(long, value_enum, default_value_t = Between::Hold)]
    pub between: Between,
}

/// Colours of the heatmap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum ColourMap {
    Turbo,
    Inferno,
    Viridis,
    Magma,
    Jet,
    Grey,
}

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Layout {
    /// The heatmap over the picture.
    Blend,
    /// The picture at the left, the same with the heatmap over it at the right.
    Side,
    /// The heatmap alone.
    Map,
}

/// What frames between two explained ones show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Between {
    /// The last explained frame's map.
    Hold,
    /// A map between those of the explained frames before and after.
    Interpolate,
}

fn parse_share(text: &str) -> Result<f32, String> {
    text.parse().ok().filter(|v| (0.0..=1.0).contains(v)).ok_or_else(|| "give a number from 0 to 1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares() {
        assert_eq!(parse_share("0.25"), Ok(0.25));
        for bad in ["1.01", "-0.1", "NaN", "50%"] {
            assert!(parse_share(bad).is_err(), "{bad}");
        }
    }
}
