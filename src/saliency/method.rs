//! Which attribution method makes the map, and what it is told.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

use super::methods::spot;
use super::rescale::Rescale;
use crate::error::{Error, Result};
use crate::network::structure::Network;

/// An attribution method. docs/method.md says what each computes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Method {
    /// The input's term and every bias term (Srinivas and Fleuret, 2019).
    #[default]
    Fullgrad,
    /// The input's term, and in place of bias terms the gradients at affine nodes with a bias, as the authors' code has it.
    SimpleFullgrad,
    /// FullGrad of terms averaged over noisy copies.
    SmoothFullgrad,
    /// Gradient times input.
    InputXGradient,
    /// The input's gradient (Simonyan and others, 2013).
    Gradient,
    /// The gradient averaged over noisy copies (Smilkov and others, 2017).
    Smoothgrad,
    /// Gradients averaged on the way from a baseline to the input (Sundararajan and others, 2017).
    IntegratedGradients,
    /// Channels of a late layer weighted by their mean gradients (Selvaraju and others, 2017), at this node; `None` for the last that
    /// everything passes.
    GradCam(Option<String>),
}

impl Method {
    /// All of them.
    pub const ALL: [Method; 8] = [
        Method::Fullgrad,
        Method::SimpleFullgrad,
        Method::SmoothFullgrad,
        Method::InputXGradient,
        Method::Gradient,
        Method::Smoothgrad,
        Method::IntegratedGradients,
        Method::GradCam(None),
    ];

    /// The name on the command line, without a node.
    pub fn name(&self) -> &'static str {
        match self {
            Method::Fullgrad => "fullgrad",
            Method::SimpleFullgrad => "simple-fullgrad",
            Method::SmoothFullgrad => "smooth-fullgrad",
            Method::InputXGradient => "input-x-gradient",
            Method::Gradient => "gradient",
            Method::Smoothgrad => "smoothgrad",
            Method::IntegratedGradients => "integrated-gradients",
            Method::GradCam(_) => "grad-cam",
        }
    }

    /// Whether it can look at this network.
    ///
    /// # Errors
    /// Kind::Usage where Grad-CAM's node is not there, or where none is named and the network has no layer that everything passes.
    pub fn check(&self, network: &Network) -> Result<()> {
        match self {
            Method::GradCam(node) => spot(network, node.as_deref()).map(|_| ()),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Method::GradCam(Some(node)) => f.pad(&format!("{}:{node}", self.name())),
            _ => f.pad(self.name()),
        }
    }
}

impl FromStr for Method {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Some(node) = text.strip_prefix("grad-cam:") {
            return match node {
                "" => Err(Error::usage("grad-cam: names no node; give grad-cam:NODE, or grad-cam for the last layer")),
                _ => Ok(Method::GradCam(Some(node.to_owned()))),
            };
        }
        Method::ALL.into_iter().find(|method| method.name() == text).ok_or_else(|| {
            let names = Method::ALL.map(|method| method.name()).join(", ");
            Error::usage(format!("no method is called {text:?}: take one of {names}"))
        })
    }
}

/// How methods that look at several copies of a picture make them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Noisy copies.
    pub samples: NonZeroUsize,
    /// Standard deviation of the noise, as a share of each input's range (its largest number less its smallest).
    pub noise: f64,
    /// Another seed gives other noise.
    pub seed: u64,
    /// Points on the way from the baseline to the input.
    pub steps: NonZeroUsize,
}

impl Sampling {
    /// Noisy copies where nothing is said.
    pub const SAMPLES: NonZeroUsize = NonZeroUsize::new(16).expect("not zero");
    /// Noise where nothing is said, as the authors of SmoothGrad and of FullGrad have it.
    pub const NOISE: f64 = 0.15;
    /// Points where nothing is said.
    pub const STEPS: NonZeroUsize = NonZeroUsize::new(32).expect("not zero");
}

impl Default for Sampling {
    fn default() -> Self {
        Sampling { samples: Self::SAMPLES, noise: Self::NOISE, seed: 0, steps: Self::STEPS }
    }
}

/// Methods, with what they are told.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The methods, at least one; the first is the one that explains.
    pub methods: Vec<Method>,
    /// See [`Rescale`]; for the three methods that have FullGrad in their name.
    pub rescale: Rescale,
    /// See [`Sampling`].
    pub sampling: Sampling,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { methods: vec![Method::Fullgrad], rescale: Rescale::Node, sampling: Sampling::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written_alike() {
        for method in Method::ALL.into_iter().chain([Method::GradCam(Some("/layer4/relu:0".to_owned()))]) {
            assert_eq!(method.to_string().parse::<Method>().expect("a method"), method);
        }
        for bad in ["", "full-grad", "grad-cam:", "gradient:x", "Fullgrad"] {
            assert_eq!(bad.parse::<Method>().expect_err(bad).kind(), crate::error::Kind::Usage);
        }
    }
}
