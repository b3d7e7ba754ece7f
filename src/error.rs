//! One error type for the whole product. Its kind says who acts and how the process ends.

use std::fmt;

/// What a fault is about, and with it the exit code of a command that ends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The command line asks for something that cannot be. Exit 2.
    Usage,
    /// The input is there and is not what it should be: a broken network, nothing decodable. Exit 65.
    Data,
    /// There is no such input. Exit 66.
    NoInput,
    /// A manifest or configuration file is wrong. Exit 78.
    Config,
    /// It failed while running: a full disk, a missing element, an absent device. Exit 1.
    Runtime,
    /// The user asked to stop; files are closed. The number is the signal's. Exit 128 + signal.
    Interrupted(i32),
}

/// An error with its kind, a sentence that says what, where and what to do, and what caused it.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The result of everything that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of this kind. `message` says what, where and what to do, without a full stop at its end.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// See [`Kind::Usage`].
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// See [`Kind::Data`].
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(Kind::Data, message)
    }

    /// See [`Kind::NoInput`].
    pub fn no_input(message: impl Into<String>) -> Self {
        Self::new(Kind::NoInput, message)
    }

    /// See [`Kind::Config`].
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(Kind::Config, message)
    }

    /// See [`Kind::Runtime`].
    pub fn runtime(message: impl Into<String>) -> Self {
        Self::new(Kind::Runtime, message)
    }

    /// Adds what caused it.
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Puts where it happened before the message: `context: message`.
    pub fn at(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    /// What the fault is about.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The exit code of a command that ends on this error.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Runtime => 1,
            Kind::Usage => 2,
            Kind::Data => 65,
            Kind::NoInput => 66,
            Kind::Config => 78,
            Kind::Interrupted(signal) => 128 + signal as u8,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as &(dyn std::error::Error + 'static))
    }
}

/// libtorch's errors are faults at run time; the C++ stack is left out of the sentence.
impl From<tch::TchError> for Error {
    fn from(error: tch::TchError) -> Self {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or("unknown").to_owned();
        Error::runtime(format!("libtorch: {first}")).with_source(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_the_contract() {
        let codes: Vec<u8> =
            [Kind::Runtime, Kind::Usage, Kind::Data, Kind::NoInput, Kind::Config, Kind::Interrupted(2), Kind::Interrupted(15)]
                .map(|kind| Error::new(kind, "x").exit_code())
                .into();
        assert_eq!(codes, [1, 2, 65, 66, 78, 130, 143]);
    }
}
