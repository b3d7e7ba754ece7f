//! Passwords and tokens: they are read once, compared and handed to whom they are for, and never shown.

use std::fmt;

/// A text that no log, error, metric or answer shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    text: String,
    file: Option<String>,
}

impl Secret {
    /// Keeps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Secret { text: text.into(), file: None }
    }

    /// Keeps a text and the name of the file that it was read from, which is no secret.
    pub fn of_file(text: impl Into<String>, file: impl Into<String>) -> Self {
        Secret { text: text.into(), file: Some(file.into()) }
    }

    /// The file that it was read from, as the configuration names it.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// The text itself, for whom it is meant. Whoever calls this must not pass it on to a message.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// Whether `other` is the same text, in a time that does not tell how much of it is right.
    pub fn matches(&self, other: &str) -> bool {
        let (own, other) = (self.text.as_bytes(), other.as_bytes());
        let differing = own.iter().zip(other).fold(0, |differing, (a, b)| differing | (a ^ b));
        own.len() == other.len() && std::hint::black_box(differing) == 0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert!(secret.matches("hunter2") && !secret.matches("hunter") && !secret.matches("hunter3") && !secret.matches(""));
    }
}
