//! What the user sets of one live stream.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::Rule;
use crate::overlay;
use crate::saliency::Method;
use crate::saliency::preprocess::Preprocessing;
use crate::video::live::{OutputSettings, SourceSettings};

/// How a stream's frames are explained and shown; may change while it runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// Every so many frames one is explained; at least 1.
    pub every: usize,
    /// Explained frames a second at most.
    pub max_fps: Option<f64>,
    /// What is explained.
    pub target: Aim,
    /// By what; one of those that the engine was started with.
    pub method: Method,
    /// How it looks.
    pub overlay: overlay::Settings,
    /// Time constant of the heatmap's range and values; zero for none.
    pub smooth: Duration,
    /// A map that is not renewed has faded away after so long.
    pub fade: Duration,
}

/// What is explained, as it is written and as it is meant.
#[derive(Debug, Clone, PartialEq)]
pub struct Aim {
    /// `argmax`, `hold:0.5`, a label…
    pub text: String,
    /// The rule that it stands for in this network.
    pub rule: Rule,
}

/// One stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Unlike all others; letters, digits, `-` and `_`.
    pub name: String,
    /// Where frames come from.
    pub source: SourceSettings,
    /// Who gets them.
    pub output: OutputSettings,
    /// True: nothing is dropped, all waits instead; the stream ends with its source.
    pub lossless: bool,
    /// How long a frame waits for its explanation before it is passed on with the last one.
    pub deadline: Duration,
    /// A source that gives no frame for so long is taken down and tried again.
    pub stall: Duration,
    /// Columns and rows of the output; `None` for those of the first frame.
    pub size_px: Option<(usize, usize)>,
    /// How frames are explained and shown.
    pub look: Look,
    /// How a frame becomes the network's input.
    pub preprocessing: Arc<Preprocessing>,
}
