//! What is explained, and by which method.

use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;

/// Options that say what is explained and how.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Explanation")]
pub struct TargetOptions {
    /// Which class is explained: argmax, hold:SECONDS, an index, or a label [default: the manifest's, else argmax].
    ///
    /// argmax takes the leading class of each frame. hold:SECONDS keeps a class until another has led for so long, so that neither map nor caption flickers. An index counts from 0; a label is one of the network's.
    #[arg(long, value_name = "TARGET")]
    pub target: Option<Target>,

    /// How the explanation is computed.
    #[arg(long, value_enum, default_value_t = Method::Fullgrad)]
    pub method: Method,

    /// Over what the absolute values of a term are brought to the range 0 to 1 before they are summed into the map.
    #[arg(long, value_enum, default_value_t = Rescale::Node)]
    pub rescale: Rescale,
}

/// Which class of the network's output is explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The leading class of each frame.
    Argmax,
    /// The class that leads, kept until another has led for this long.
    Hold(Duration),
    /// The class with this index.
    Index(usize),
    /// The class with this label.
    Label(String),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("give argmax, hold:SECONDS, an index, or a label".to_owned());
        }
        if text == "argmax" {
            return Ok(Target::Argmax);
        }
        if let Some(seconds) = text.strip_prefix("hold:") {
            return super::span::parse_seconds(seconds).map(Target::Hold);
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().map(Target::Index).map_err(|_| format!("the index {text} is too large"));
        }
        Ok(Target::Label(text.to_owned()))
    }
}

/// How the explanation is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// The input's gradient and every bias term (Srinivas and Fleuret, 2019).
    Fullgrad,
}

/// Over what the values of a term are rescaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Rescale {
    /// All channels and pixels of a node's term together.
    Node,
    /// Each channel of a node's term by itself; gives another map.
    Channel,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        assert_eq!("argmax".parse(), Ok(Target::Argmax));
        assert_eq!("hold:1.5".parse(), Ok(Target::Hold(Duration::from_millis(1500))));
        assert_eq!("281".parse(), Ok(Target::Index(281)));
        assert_eq!("tabby, tabby cat".parse(), Ok(Target::Label("tabby, tabby cat".to_owned())));
        for bad in ["", "hold:", "hold:x", "hold:-1", "hold:1e12", "99999999999999999999999"] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }
}
