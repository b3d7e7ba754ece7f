//! One table of a file or document, read against its keys: what is unknown, missing or of the wrong form is a fault at its place.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::findings::Findings;
use super::keys::{Form, Key, Table, Usual};
use super::node::{Node, Value};
use super::secrets::{self, Vault};
use super::units;
use crate::secret::Secret;
use crate::words;

/// Texts that are longer are no names of anything.
const MOST_LETTERS: usize = 4096;

/// A table that is being read.
pub struct Section<'a> {
    node: &'a Node,
    table: &'static Table,
    /// Where it stands: `stream.front.source`.
    at: String,
    vault: &'a Vault,
}

impl<'a> Section<'a> {
    /// Looks at a table's keys. `also` are keys that somebody else reads. `None` where it is no table.
    pub fn open(node: &'a Node, table: &'static Table, at: &str, also: &[&str], vault: &'a Vault, found: &mut Findings) -> Option<Self> {
        found.met(at, node.line);
        let Value::Table(entries) = &node.value else {
            found.fault(at, format!("is {}; write it as a table of keys", node.value.what()));
            return None;
        };
        let known: Vec<&str> = also.iter().copied().chain(table.keys.iter().map(|key| key.name)).collect();
        for entry in entries {
            let path = join(at, &entry.key);
            found.met(&path, entry.line);
            if !known.contains(&entry.key.as_str()) {
                unknown(&path, &entry.key, &known, found);
            }
        }
        for key in table.keys.iter().filter(|key| matches!(key.usual, Usual::Needed) && node.get(key.name).is_none()) {
            found.fault(at, format!("{} is missing: {}", key.name, lower(key.about)));
        }
        Some(Section { node, table, at: at.to_owned(), vault })
    }

    /// The place of one of its keys.
    pub fn path(&self, name: &str) -> String {
        join(&self.at, name)
    }

    /// Whether the key is given.
    pub fn has(&self, name: &str) -> bool {
        self.node.get(name).is_some()
    }

    fn key(&self, name: &str) -> &'static Key {
        self.table.keys.iter().find(|key| key.name == name).expect("a key of the table")
    }

    /// The value of a key, given or usual, read by its form. `None` where it is neither, or where it is wrong.
    fn read<T>(&self, name: &str, found: &mut Findings, read: impl Fn(Form, &Value) -> Result<T, String>) -> Option<T> {
        let key = self.key(name);
        let usual;
        let node = match (self.node.get(name), key.usual) {
            (Some(node), _) => node,
            (None, Usual::Value(text)) => {
                usual = Node::of_toml_value(text).expect("what is usual is written as TOML");
                &usual
            }
            (None, _) => return None,
        };
        read(key.form, &node.value).map_err(|fault| found.fault(&self.path(name), fault)).ok()
    }

    /// A text, whatever its form.
    pub fn text(&self, name: &str, found: &mut Findings) -> Option<String> {
        self.read(name, found, |form, value| {
            let text = text_of(value)?;
            match form {
                Form::Name => name_of(text),
                Form::Words(words) => one_of(text, &words()),
                _ => Ok(()),
            }?;
            Ok(text.to_owned())
        })
    }

    /// A text that is read into something else.
    pub fn parsed<T>(&self, name: &str, found: &mut Findings, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(name, found)?;
        parse(&text).map_err(|fault| found.fault(&self.path(name), fault)).ok()
    }

    /// true or false.
    pub fn flag(&self, name: &str, found: &mut Findings) -> Option<bool> {
        self.read(name, found, |_, value| match value {
            Value::Flag(flag) => Ok(*flag),
            other => Err(format!("is {}; write true or false", other.what())),
        })
    }

    /// A whole number in the key's range.
    pub fn whole<T: TryFrom<i64>>(&self, name: &str, found: &mut Findings) -> Option<T> {
        self.read(name, found, |form, value| {
            let Form::Whole(least, most) = form else { unreachable!("the key is a whole number") };
            let hint = format!("give a whole number from {least} to {most}");
            let number = match value {
                Value::Whole(number) => *number,
                // JSON makes no difference between 8 and 8.0.
                Value::Number(number) if number.fract() == 0.0 && number.abs() < 1e15 => *number as i64,
                Value::Number(number) => return Err(format!("is {number}; {hint}")),
                other => return Err(format!("is {}; {hint}", other.what())),
            };
            let inside = (least..=most).contains(&number);
            T::try_from(number).ok().filter(|_| inside).ok_or_else(|| format!("is {number}; {hint}"))
        })
    }

    /// A number in the key's range.
    pub fn number(&self, name: &str, found: &mut Findings) -> Option<f64> {
        self.read(name, found, |form, value| {
            let Form::Number(least, most) = form else { unreachable!("the key is a number") };
            let hint = if most.is_infinite() {
                format!("give a number, {least} or more")
            } else {
                format!("give a number from {least} to {most}")
            };
            let number = match value {
                Value::Whole(number) => *number as f64,
                Value::Number(number) => *number,
                other => return Err(format!("is {}; {hint}", other.what())),
            };
            if number.is_finite() && (least..=most).contains(&number) { Ok(number) } else { Err(format!("is {number}; {hint}")) }
        })
    }

    /// A time in the key's range.
    pub fn span(&self, name: &str, found: &mut Findings) -> Option<Duration> {
        self.read(name, found, |form, value| {
            let Form::Span(least, most) = form else { unreachable!("the key is a time") };
            let text = united(value, "20ms")?;
            let span = units::span(text).map_err(|fault| format!("{text:?} {fault}"))?;
            match (least..=most).contains(&span) {
                true => Ok(span),
                false => Err(format!("is {text}; give a time from {} to {}", units::span_text(least), units::span_text(most))),
            }
        })
    }

    /// A number of bytes.
    pub fn bytes(&self, name: &str, found: &mut Findings) -> Option<u64> {
        self.read(name, found, |_, value| {
            let text = united(value, "500MB")?;
            units::bytes(text).map_err(|fault| format!("{text:?} {fault}"))
        })
    }

    /// Columns and rows.
    pub fn size_px(&self, name: &str, found: &mut Findings) -> Option<(u32, u32)> {
        self.parsed(name, found, |text| units::size_px(text).map_err(|fault| format!("{text:?} {fault}")))
    }

    /// An address and a port.
    pub fn address(&self, name: &str, found: &mut Findings) -> Option<SocketAddr> {
        self.parsed(name, found, address)
    }

    /// A file or folder that is read, without dots and a slash at its end. A relative one comes with the configuration.
    pub fn path_of(&self, name: &str, found: &mut Findings) -> Option<PathBuf> {
        self.text(name, found).map(|text| self.vault.folder.join(Path::new(&text)).components().collect())
    }

    /// The same of one that is written. A relative one is of the folder where the process runs.
    pub fn written(&self, name: &str, found: &mut Findings) -> Option<PathBuf> {
        self.text(name, found).map(|text| self.vault.work.join(Path::new(&text)).components().collect())
    }

    /// A URL without credentials. `passwords` names the key that has them instead.
    pub fn url(&self, name: &str, passwords: &str, found: &mut Findings) -> Option<String> {
        let Form::Url(schemes) = self.key(name).form else { unreachable!("the key is a URL") };
        self.parsed(name, found, |text| secrets::check_url(text, schemes, passwords).map(|()| text.to_owned()))
    }

    /// A GStreamer text without credentials.
    pub fn pipeline(&self, name: &str, found: &mut Findings) -> Option<String> {
        self.parsed(name, found, |text| secrets::check_text(text).map(|()| text.to_owned()))
    }

    /// A secret, read from the file that the key names.
    pub fn secret(&self, name: &str, found: &mut Findings) -> Option<Secret> {
        let written = self.text(name, found)?;
        match secrets::read(&written, self.vault) {
            Ok((secret, warning)) => {
                if let Some(warning) = warning {
                    found.warn(&self.path(name), warning);
                }
                Some(secret)
            }
            Err(fault) => {
                found.fault(&self.path(name), fault);
                None
            }
        }
    }

    /// A user and the password, which go together.
    pub fn credentials(&self, found: &mut Findings) -> (Option<String>, Option<Secret>) {
        let (user, password) = (self.text("user", found), self.secret("password_file", found));
        match (self.has("user"), self.has("password_file")) {
            (true, false) => found.fault(&self.path("user"), "has no password_file beside it; give both or none"),
            (false, true) => found.fault(&self.path("password_file"), "has no user beside it; give both or none"),
            _ => {}
        }
        (user, password)
    }

    /// A list of texts, each with its place.
    pub fn texts(&self, name: &str, found: &mut Findings) -> Option<Vec<(String, String)>> {
        let node = self.node.get(name)?;
        let Value::List(values) = &node.value else {
            found.fault(&self.path(name), format!("is {}; give a list of texts", node.value.what()));
            return None;
        };
        let mut texts = Vec::new();
        for (number, value) in values.iter().enumerate() {
            let path = format!("{}[{}]", self.path(name), number + 1);
            found.met(&path, value.line);
            match text_of(&value.value) {
                Ok(text) => texts.push((path, text.to_owned())),
                Err(fault) => found.fault(&path, fault),
            }
        }
        Some(texts)
    }

    /// The value as it was written, for those that are texts or tables.
    pub fn node(&self, name: &str) -> Option<&'a Node> {
        debug_assert!(matches!(self.key(name).form, Form::Source | Form::Sinks));
        self.node.get(name)
    }
}

/// `at.name`, or `name` at the top.
pub fn join(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

/// Refuses a key or table that there is not, naming the nearest that there is.
pub fn unknown(path: &str, key: &str, known: &[&str], found: &mut Findings) {
    let text = match words::nearest(key, known.iter().copied()) {
        Some(near) => format!("there is no such key; perhaps {near}"),
        None => format!("there is no such key; there are {}", known.join(", ")),
    };
    found.fault(path, text);
}

/// Refuses a word that is none of those that can be here, naming the nearest.
pub fn one_of(text: &str, known: &[&str]) -> Result<(), String> {
    if known.contains(&text) {
        return Ok(());
    }
    Err(match words::nearest(text, known.iter().copied()) {
        Some(near) => format!("{text:?} is none of {}; perhaps {near:?}", known.join(", ")),
        None => format!("{text:?} is none of {}", known.join(", ")),
    })
}

fn text_of(value: &Value) -> Result<&str, String> {
    match value {
        Value::Text(text) if text.is_empty() => Err("is empty; give a text, or leave the key out".to_owned()),
        Value::Text(text) if text.len() > MOST_LETTERS || text.contains('\0') => {
            Err(format!("is longer than {MOST_LETTERS} bytes, or has a zero in it"))
        }
        Value::Text(text) => Ok(text),
        other => Err(format!("is {}; give a text in quotes", other.what())),
    }
}

/// A text with a unit; a bare number has none.
fn united<'v>(value: &'v Value, example: &str) -> Result<&'v str, String> {
    match value {
        Value::Whole(_) | Value::Number(_) => Err(format!("is a number without a unit; give a text with one, as \"{example}\"")),
        value => text_of(value),
    }
}

fn name_of(text: &str) -> Result<(), String> {
    let fits = text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if fits { Ok(()) } else { Err(format!("{text:?} is no name; take letters, digits, - and _, at most 64")) }
}

/// An address and a port.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is no address with a port; give one as \"127.0.0.1:9464\", or \"0.0.0.0:9464\" for all addresses"))
}

/// With its first letter small, as it stands behind a colon.
fn lower(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect::<String>())
        .trim_end_matches('.')
        .to_owned()
}
