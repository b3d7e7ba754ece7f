//! When a frame's numbers count as wrong.

/// Options that say which numbers are faults.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Explanation")]
pub struct FaultOptions {
    /// Largest completeness residual that is no numeric fault [default: 1e-9 in f64, 1e-3 in f32, 2 in f16, 16 in bf16].
    ///
    /// A frame whose residual is above it, or whose numbers are NaN or infinite, is marked in the results, counted, and told on standard error; the others go on.
    #[arg(long, value_name = "R", value_parser = parse_bound)]
    pub max_residual: Option<f64>,
}

fn parse_bound(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|bound: &f64| *bound >= 0.0 && bound.is_finite()).ok_or_else(|| "give a number from 0 on, as 1e-3".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds() {
        assert_eq!(parse_bound("1e-3"), Ok(1e-3));
        for bad in ["-1", "NaN", "inf", "x"] {
            assert!(parse_bound(bad).is_err(), "{bad}");
        }
    }
}
