//! From what `--target` or the manifest says to what the engine explains: labels are looked up, and it is checked that the output has it.

use super::loading::Loaded;
use super::options::{self, TargetOptions};
use crate::engine::Choice;
use crate::error::{Error, Result};
use crate::saliency::{Head, Target};

/// What `--target`, or else the manifest, says is explained.
///
/// # Errors
/// Kind::Config where the manifest's target is none.
fn asked(target: &TargetOptions, loaded: &Loaded) -> Result<options::Target> {
    let from_manifest = loaded.manifest.as_ref().and_then(|manifest| manifest.output.target.as_deref());
    match (&target.target, from_manifest) {
        (Some(target), _) => Ok(target.clone()),
        (None, Some(text)) => text.parse().map_err(|error| Error::config(format!("output.target {text:?} of the manifest: {error}"))),
        (None, None) => Ok(options::Target::Argmax),
    }
}

/// What is explained of moving pictures.
///
/// # Errors
/// As [`rule`].
pub fn choice(target: &TargetOptions, loaded: &Loaded, head: &Head) -> Result<Choice> {
    match asked(target, loaded)? {
        options::Target::Hold(span) => Ok(Choice::hold(span)),
        _ => Ok(Choice::Fixed(rule(target, loaded, head)?)),
    }
}

/// The same for pictures without time; a hold is an argmax there.
///
/// # Errors
/// Kind::Usage where a label is not one of the network's or the output has no such class, no such number of classes, or no cells;
/// Kind::Config where the manifest's target is none.
pub fn rule(target: &TargetOptions, loaded: &Loaded, head: &Head) -> Result<Target> {
    let classes = head.cells.as_ref().map_or_else(|| loaded.network.output_shape().iter().product(), |cells| cells.count);
    let dense = |asked: &str| match &head.cells {
        Some(_) => Ok(()),
        None => {
            Err(Error::usage(format!("--target {asked}: the network's output has no cells; give argmax, an index, a label, or topk:K")))
        }
    };
    Ok(match asked(target, loaded)? {
        options::Target::Argmax | options::Target::Hold(_) => Target::Argmax,
        options::Target::Index(index) => Target::Index(inside(index, classes)? as i64),
        options::Target::Label(label) => Target::Index(inside(label_index(&label, loaded)?, classes)? as i64),
        options::Target::Top(count) if count > classes => {
            return Err(Error::usage(format!("--target topk:{count}: the network has {classes} classes")));
        }
        options::Target::Top(count) => Target::Top(count as i64),
        options::Target::Cell(label) => {
            dense("cell:LABEL")?;
            Target::Index(class_index(&label, loaded, classes)? as i64)
        }
        options::Target::Cells(label, threshold) => {
            dense("cells:LABEL:THRESHOLD")?;
            Target::Above { class: class_index(&label, loaded, classes)? as i64, threshold }
        }
    })
}

/// The class that a label or an index names.
fn class_index(label: &str, loaded: &Loaded, classes: usize) -> Result<usize> {
    match label.parse() {
        Ok(index) => inside(index, classes),
        Err(_) => label_index(label, loaded).and_then(|index| inside(index, classes)),
    }
}

fn inside(index: usize, classes: usize) -> Result<usize> {
    if index < classes {
        Ok(index)
    } else {
        Err(Error::usage(format!("--target {index}: the network has {classes} classes, counted from 0")))
    }
}

fn label_index(label: &str, loaded: &Loaded) -> Result<usize> {
    if loaded.labels.is_empty() {
        return Err(Error::usage(format!(
            "--target {label:?}: the network's labels are not known; give an index, or output.labels in its manifest"
        )));
    }
    let wanted = label.to_lowercase();
    let matches = |test: &dyn Fn(&str) -> bool| -> Vec<usize> {
        loaded.labels.iter().enumerate().filter(|(_, known)| test(&known.to_lowercase())).map(|(index, _)| index).collect()
    };
    let exact = matches(&|known| known == wanted);
    if let [index] = exact[..] {
        return Ok(index);
    }
    let near = match exact.is_empty() {
        false => exact,
        true => Some(matches(&|known| known.contains(&wanted)))
            .filter(|near| !near.is_empty())
            .unwrap_or_else(|| misspelt(&wanted, &loaded.labels)),
    };
    let names: Vec<String> = near.iter().take(5).map(|&index| format!("{index} {:?}", loaded.labels[index])).collect();
    Err(Error::usage(match names.is_empty() {
        true => format!("--target {label:?}: none of the network's {} labels", loaded.labels.len()),
        false => format!("--target {label:?}: is not one label; perhaps {}", names.join(", ")),
    }))
}

/// Labels, or words of them, that differ from `wanted` in few letters; the nearest first.
fn misspelt(wanted: &str, labels: &[String]) -> Vec<usize> {
    let most = 1 + wanted.chars().count() / 4;
    let nearest = |label: &str| {
        let label = label.to_lowercase();
        label.split_whitespace().chain([label.as_str()]).map(|part| edits(wanted, part)).min().unwrap_or(usize::MAX)
    };
    let mut near: Vec<(usize, usize)> = labels.iter().enumerate().map(|(index, label)| (nearest(label), index)).collect();
    near.retain(|&(edits, _)| edits <= most);
    near.sort_unstable();
    near.into_iter().map(|(_, index)| index).collect()
}

/// How many letters have to be put in, left out or changed to make `a` to `b` (Levenshtein's distance).
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, other) in b.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_labels_are_found() {
        assert_eq!([edits("", "abc"), edits("kitten", "sitting"), edits("tabbi", "tabby"), edits("a", "a")], [3, 3, 1, 0]);
        let labels = ["tench", "tabby", "tiger cat", "golden retriever"].map(str::to_owned);
        assert_eq!(misspelt("tabbi", &labels), [1]);
        assert_eq!(misspelt("retreiver", &labels), [3]);
        assert_eq!(misspelt("zeppelin", &labels), [0; 0]);
    }
}
