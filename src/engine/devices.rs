//! Where it is computed: on the processor, or on CUDA devices, each with workers of its own.

use std::fmt;
use std::str::FromStr;

use super::cuda;
use crate::error::{Error, Result};
use crate::network::device;

/// What the user asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// The first CUDA device, or the processor where there is none.
    Auto,
    /// Just these.
    Only(Devices),
}

/// Devices to compute on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Devices {
    /// The processor.
    #[default]
    Cpu,
    /// CUDA devices by the driver's numbers, at least one.
    Cuda(Vec<usize>),
}

impl FromStr for Asked {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => return Ok(Asked::Auto),
            "cpu" => return Ok(Asked::Only(Devices::Cpu)),
            _ => {}
        }
        let mut numbers = Vec::new();
        for part in text.split(',') {
            let number = part.strip_prefix("cuda:").filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
            let number = number.and_then(|number| number.parse().ok()).filter(|&number: &usize| number < 128);
            let number = number.ok_or_else(|| "give auto, cpu, cuda:0, or several as cuda:0,cuda:1".to_owned())?;
            if numbers.contains(&number) {
                return Err(format!("cuda:{number} is named twice; --workers gives a device more than one worker"));
            }
            numbers.push(number);
        }
        Ok(Asked::Only(Devices::Cuda(numbers)))
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Asked::Auto => f.write_str("auto"),
            Asked::Only(devices) => devices.fmt(f),
        }
    }
}

impl fmt::Display for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Devices::Cpu => f.write_str("cpu"),
            Devices::Cuda(numbers) => f.write_str(&numbers.iter().map(|number| format!("cuda:{number}")).collect::<Vec<_>>().join(",")),
        }
    }
}

impl Asked {
    /// The devices, ready to compute: what CUDA needs is opened. The second is a sentence for the log where a driver is there and CUDA is
    /// not used all the same.
    ///
    /// # Errors
    /// Kind::Runtime where a device that is asked for by name is not there, or what it needs is not.
    pub fn open(&self) -> Result<(Devices, Option<String>)> {
        match self {
            Asked::Only(Devices::Cpu) => Ok((Devices::Cpu, None)),
            Asked::Only(Devices::Cuda(numbers)) => {
                open_cuda(numbers).map_err(|error| error.at(format!("--device {self}")))?;
                Ok((Devices::Cuda(numbers.clone()), None))
            }
            // Without a driver, or with one that shows no card, there is nothing to wonder about.
            Asked::Auto if cuda::cards().map_or(true, <[_]>::is_empty) => Ok((Devices::Cpu, None)),
            Asked::Auto => match open_cuda(&[0]) {
                Ok(()) => Ok((Devices::Cuda(vec![0]), None)),
                Err(error) => Ok((Devices::Cpu, Some(format!("computing on the processor, though there is an NVIDIA card: {error}")))),
            },
        }
    }
}

fn open_cuda(numbers: &[usize]) -> Result<()> {
    let cards = cuda::cards().map_err(|error| Error::runtime(format!("{error}; install NVIDIA's driver, or give --device cpu")))?;
    known(numbers, cards.len(), "the driver shows")?;
    cuda::open_library()?;
    known(numbers, device::cuda_devices(), "libtorch sees")
}

fn known(numbers: &[usize], count: usize, who: &str) -> Result<()> {
    match numbers.iter().find(|&&number| number >= count) {
        None => Ok(()),
        Some(number) => Err(Error::runtime(format!(
            "there is no cuda:{number}: {who} {count} device{}; give a lower number, or look at CUDA_VISIBLE_DEVICES",
            if count == 1 { "" } else { "s" }
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_and_written_alike() {
        for text in ["auto", "cpu", "cuda:0", "cuda:1,cuda:0,cuda:12"] {
            assert_eq!(text.parse::<Asked>().expect(text).to_string(), text);
        }
        for (text, wanted) in [
            ("", "give auto"),
            ("gpu", "give auto"),
            ("cuda", "give auto"),
            ("cuda:", "give auto"),
            ("cuda:-1", "give auto"),
            ("cuda:+1", "give auto"),
            ("cuda:1,", "give auto"),
            ("cuda:1,cpu", "give auto"),
            ("cuda:128", "give auto"),
            ("cuda:1,cuda:1", "named twice"),
        ] {
            let message = text.parse::<Asked>().expect_err(text);
            assert!(message.contains(wanted), "{text}: {message}");
        }
    }

    #[test]
    fn a_number_too_high_is_told_with_how_many_there_are() {
        assert!(known(&[0, 1], 2, "").is_ok());
        let message = known(&[0, 3], 1, "the driver shows").expect_err("one device").to_string();
        assert!(message.starts_with("there is no cuda:3: the driver shows 1 device; "), "{message}");
    }
}
