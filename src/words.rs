//! Words that people write, on the command line and in files: seconds, and names that are nearly right.

use std::time::Duration;

/// Seconds with a fraction, from 0 to a day.
///
/// # Errors
/// What to give instead.
pub fn seconds(text: &str) -> Result<Duration, String> {
    plain_seconds(text)
        .filter(|&s| s <= 86_400.0)
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "give seconds, as 1.5, at most a day".to_owned())
}

/// Digits with at most one point: neither sign nor exponent nor `inf`.
pub fn plain_seconds(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse().ok().filter(|_| plain)
}

/// Letters that may be put in, left out, changed or swapped with their neighbour for a word to count as misspelt.
pub fn slips(word: &str) -> usize {
    1 + word.chars().count() / 4
}

/// The name that was meant: the one of `known` that differs from `word` in the fewest letters, where those are few.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::osa_distance(&lower, &name.to_lowercase()), name))
        .filter(|&(edits, _)| edits <= slips(word))
        .min_by_key(|&(edits, _)| edits)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_plain_numbers() {
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(seconds("0"), Ok(Duration::ZERO));
        for bad in ["", "-1", "1e3", "inf", "NaN", "86401", "1s"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_nearly_right_are_found() {
        let known = ["bitrate_kbps", "deadline", "stall", "max_fps"];
        assert_eq!(nearest("dedline", known), Some("deadline"));
        assert_eq!(nearest("Max_fsp", known), Some("max_fps"));
        assert_eq!(nearest("bitrate_kpbs", known), Some("bitrate_kbps"));
        assert_eq!(nearest("zeppelin", known), None);
    }
}
