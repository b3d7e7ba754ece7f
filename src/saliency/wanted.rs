//! What a user wants explained, in words: `argmax`, `hold:0.5`, a label, an index…, and what that is in a network.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::head::Head;
use super::target::Target;
use crate::error::{Error, Result};
use crate::words;

/// What of the network's output is explained.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// The leading class of each frame.
    Argmax,
    /// The class that leads, kept until another has led for this long.
    Hold(Duration),
    /// The class with this index.
    Index(usize),
    /// The class with this label.
    Label(String),
    /// The sum of so many largest scores.
    Top(usize),
    /// The best cell of the class with this label or index.
    Cell(String),
    /// The cells of the class with this label or index that are above the threshold.
    Cells(String, f64),
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("give argmax, hold:SECONDS, an index, a label, topk:K, cell:LABEL, or cells:LABEL:THRESHOLD".to_owned());
        }
        if text == "argmax" {
            return Ok(Wanted::Argmax);
        }
        if let Some(seconds) = text.strip_prefix("hold:") {
            return words::seconds(seconds).map(Wanted::Hold);
        }
        if let Some(count) = text.strip_prefix("topk:") {
            let count = count.parse().ok().filter(|&count: &usize| count > 0);
            return count.map(Wanted::Top).ok_or_else(|| "give the number of classes after topk:, as topk:3".to_owned());
        }
        if let Some(label) = text.strip_prefix("cell:").filter(|label| !label.is_empty()) {
            return Ok(Wanted::Cell(label.to_owned()));
        }
        if let Some(rest) = text.strip_prefix("cells:") {
            // A label may have colons.
            let parts =
                rest.rsplit_once(':').and_then(|(label, threshold)| Some((label, threshold.parse().ok().filter(|t: &f64| t.is_finite())?)));
            return match parts {
                Some((label, threshold)) if !label.is_empty() => Ok(Wanted::Cells(label.to_owned(), threshold)),
                _ => Err("give a label and a threshold after cells:, as cells:car:0.3".to_owned()),
            };
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().map(Wanted::Index).map_err(|_| format!("the index {text} is too large"));
        }
        Ok(Wanted::Label(text.to_owned()))
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wanted::Argmax => f.write_str("argmax"),
            Wanted::Hold(span) => write!(f, "hold:{}", span.as_secs_f64()),
            Wanted::Index(index) => write!(f, "{index}"),
            Wanted::Label(label) => f.write_str(label),
            Wanted::Top(count) => write!(f, "topk:{count}"),
            Wanted::Cell(label) => write!(f, "cell:{label}"),
            Wanted::Cells(label, threshold) => write!(f, "cells:{label}:{threshold}"),
        }
    }
}

/// What a network can be asked for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Classes {
    /// Number of classes.
    pub count: usize,
    /// Labels in index order; empty where none are known.
    pub labels: Vec<String>,
    /// Whether the output is dense, with scores in every cell of the picture.
    pub cells: bool,
}

impl Classes {
    /// Of an output of this shape, (1, K) or dense.
    pub fn of(head: &Head, output_shape: &[usize], labels: Vec<String>) -> Self {
        let count = head.cells.as_ref().map_or_else(|| output_shape.iter().product(), |cells| cells.count);
        Classes { count, labels, cells: head.cells.is_some() }
    }

    /// What is explained of a picture; a hold, which takes time, is an argmax there.
    ///
    /// # Errors
    /// Kind::Usage, in a sentence that begins with `target`, where a label is not one of the network's or the output has no such class, no
    /// such number of classes, or no cells.
    pub fn target(&self, wanted: &Wanted) -> Result<Target> {
        let classes = self.count;
        let dense = |asked: &str| match self.cells {
            true => Ok(()),
            false => {
                Err(Error::usage(format!("target {asked}: the network's output has no cells; give argmax, an index, a label, or topk:K")))
            }
        };
        Ok(match wanted {
            Wanted::Argmax | Wanted::Hold(_) => Target::Argmax,
            Wanted::Index(index) => Target::Index(self.inside(*index)? as i64),
            Wanted::Label(label) => Target::Index(self.inside(self.label_index(label)?)? as i64),
            Wanted::Top(count) if *count > classes => {
                return Err(Error::usage(format!("target topk:{count}: the network has {classes} classes")));
            }
            Wanted::Top(count) => Target::Top(*count as i64),
            Wanted::Cell(label) => {
                dense("cell:LABEL")?;
                Target::Index(self.class_index(label)? as i64)
            }
            Wanted::Cells(label, threshold) => {
                dense("cells:LABEL:THRESHOLD")?;
                Target::Above { class: self.class_index(label)? as i64, threshold: *threshold }
            }
        })
    }

    /// The class that a label or an index names.
    fn class_index(&self, label: &str) -> Result<usize> {
        match label.parse() {
            Ok(index) => self.inside(index),
            Err(_) => self.label_index(label).and_then(|index| self.inside(index)),
        }
    }

    fn inside(&self, index: usize) -> Result<usize> {
        if index < self.count {
            Ok(index)
        } else {
            Err(Error::usage(format!("target {index}: the network has {} classes, counted from 0", self.count)))
        }
    }

    fn label_index(&self, label: &str) -> Result<usize> {
        if self.labels.is_empty() {
            return Err(Error::usage(format!(
                "target {label:?}: the network's labels are not known; give an index, or output.labels in its manifest"
            )));
        }
        let wanted = label.to_lowercase();
        let matches = |test: &dyn Fn(&str) -> bool| -> Vec<usize> {
            self.labels.iter().enumerate().filter(|(_, known)| test(&known.to_lowercase())).map(|(index, _)| index).collect()
        };
        let exact = matches(&|known| known == wanted);
        if let [index] = exact[..] {
            return Ok(index);
        }
        let near = match exact.is_empty() {
            false => exact,
            true => Some(matches(&|known| known.contains(&wanted)))
                .filter(|near| !near.is_empty())
                .unwrap_or_else(|| misspelt(&wanted, &self.labels)),
        };
        let names: Vec<String> = near.iter().take(5).map(|&index| format!("{index} {:?}", self.labels[index])).collect();
        Err(Error::usage(match names.is_empty() {
            true => format!("target {label:?}: none of the network's {} labels", self.labels.len()),
            false => format!("target {label:?}: is not one label; perhaps {}", names.join(", ")),
        }))
    }
}

/// Labels, or words of them, that differ from `wanted` in few letters; the nearest first.
fn misspelt(wanted: &str, labels: &[String]) -> Vec<usize> {
    let nearest = |label: &str| {
        let label = label.to_lowercase();
        label.split_whitespace().chain([label.as_str()]).map(|part| strsim::levenshtein(wanted, part)).min().unwrap_or(usize::MAX)
    };
    let mut near: Vec<(usize, usize)> = labels.iter().enumerate().map(|(index, label)| (nearest(label), index)).collect();
    near.retain(|&(edits, _)| edits <= words::slips(wanted));
    near.sort_unstable();
    near.into_iter().map(|(_, index)| index).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_and_written_alike() {
        let cases = [
            ("argmax", Wanted::Argmax),
            ("hold:1.5", Wanted::Hold(Duration::from_millis(1500))),
            ("281", Wanted::Index(281)),
            ("tabby, tabby cat", Wanted::Label("tabby, tabby cat".to_owned())),
            ("topk:3", Wanted::Top(3)),
            ("cell:car", Wanted::Cell("car".to_owned())),
            ("cells:type: b:0.25", Wanted::Cells("type: b".to_owned(), 0.25)),
        ];
        for (text, wanted) in cases {
            assert_eq!(text.parse(), Ok(wanted.clone()));
            assert_eq!(wanted.to_string(), text);
        }
        for bad in [
            "",
            "topk:",
            "topk:0",
            "topk:x",
            "cells:",
            "cells:car",
            "cells::0.3",
            "cells:car:x",
            "cells:car:nan",
            "hold:",
            "hold:x",
            "hold:-1",
            "hold:1e12",
            "99999999999999999999999",
        ] {
            assert!(bad.parse::<Wanted>().is_err(), "{bad}");
        }
    }

    #[test]
    fn misspelt_labels_are_found() {
        let labels = ["tench", "tabby", "tiger cat", "golden retriever"].map(str::to_owned);
        assert_eq!(misspelt("tabbi", &labels), [1]);
        assert_eq!(misspelt("retreiver", &labels), [3]);
        assert_eq!(misspelt("zeppelin", &labels), [0; 0]);
    }

    #[test]
    fn what_a_network_does_not_have_is_refused() {
        let labels = ["tench", "tabby", "tiger cat"].map(str::to_owned).to_vec();
        let classes = Classes { count: 3, labels, cells: false };
        let target = |text: &str| classes.target(&text.parse().expect(text));
        assert_eq!(target("TABBY").expect("a label"), Target::Index(1));
        assert_eq!(target("hold:2").expect("a hold"), Target::Argmax);
        for (text, wanted) in [
            ("3", "target 3: the network has 3 classes, counted from 0"),
            ("topk:4", "target topk:4: the network has 3 classes"),
            ("tabbi", "target \"tabbi\": is not one label; perhaps 1 \"tabby\""),
            ("cell:0", "target cell:LABEL: the network's output has no cells; give argmax, an index, a label, or topk:K"),
        ] {
            assert_eq!(target(text).expect_err(text).to_string(), wanted);
        }
        let nameless = Classes { labels: Vec::new(), ..classes };
        let refused = nameless.target(&Wanted::Label("tabby".to_owned())).expect_err("no labels").to_string();
        assert!(refused.starts_with("target \"tabby\": the network's labels are not known"), "{refused}");
    }
}
