//! Times and sizes as texts with their unit, read and written alike: `20ms`, `1.5s`, `7d`, `500MB`, `2GiB`, `1280x720`.

use std::time::Duration;

/// Units of time, the largest first, in nanoseconds.
const TIMES: [(&str, u64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Units of size, the largest first, in bytes.
const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("B", 1),
];

/// The number and the unit behind it: digits with at most one point, then letters.
fn parted(text: &str) -> Option<(f64, &str)> {
    let at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let number = text[..at].trim_end();
    let plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    number.parse().ok().filter(|_| plain).map(|number| (number, &text[at..]))
}

/// How many of the smallest unit a text means, rounded.
fn measured(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (number, unit) = parted(text)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    // Whole numbers are exact, however large.
    if let Some(exact) = text[..text.len() - unit.len()].trim_end().parse::<u64>().ok().and_then(|number| number.checked_mul(*factor)) {
        return Some(exact);
    }
    let total = (number * *factor as f64).round();
    (total < u64::MAX as f64).then_some(total as u64)
}

/// In the largest unit that needs no fraction.
fn written(count: u64, units: &[(&str, u64)]) -> String {
    let (unit, factor) =
        units.iter().find(|(_, factor)| count >= *factor && count.is_multiple_of(*factor)).expect("the smallest unit divides all");
    format!("{}{unit}", count / factor)
}

/// A time.
///
/// # Errors
/// What to give.
pub fn span(text: &str) -> Result<Duration, String> {
    measured(text, &TIMES)
        .map(Duration::from_nanos)
        .ok_or_else(|| "is no time; give a number and its unit, one of ms, s, m, h, d, as \"20ms\" or \"1.5s\"".to_owned())
}

/// A time as [`span`] reads it.
pub fn span_text(span: Duration) -> String {
    match u64::try_from(span.as_nanos()) {
        Ok(0) => "0s".to_owned(),
        Ok(ns) => written(ns, &TIMES),
        Err(_) => format!("{}s", span.as_secs()),
    }
}

/// A number of bytes.
///
/// # Errors
/// What to give.
pub fn bytes(text: &str) -> Result<u64, String> {
    measured(text, &SIZES)
        .ok_or_else(|| "is no size; give a number and its unit, one of kB, MB, GB, TB, KiB, MiB, GiB, TiB, as \"500MB\"".to_owned())
}

/// Bytes as [`bytes`] reads them.
pub fn bytes_text(count: u64) -> String {
    if count == 0 { "0B".to_owned() } else { written(count, &SIZES) }
}

/// Columns and rows.
///
/// # Errors
/// What to give.
pub fn size_px(text: &str) -> Result<(u32, u32), String> {
    const SIDES: std::ops::RangeInclusive<u32> = 16..=8192;
    let sides = text.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    sides
        .filter(|(width, height)| SIDES.contains(width) && SIDES.contains(height))
        .ok_or_else(|| format!("is no size; give pixels as \"1280x720\", each side from {} to {}", SIDES.start(), SIDES.end()))
}

/// As [`size_px`] reads it.
pub fn size_text((width, height): (u32, u32)) -> String {
    format!("{width}x{height}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_and_sizes_have_units() {
        let ms = Duration::from_millis;
        for (text, wanted) in [("20ms", ms(20)), ("1.5s", ms(1500)), ("2m", ms(120_000)), ("1 h", ms(3_600_000)), ("7d", ms(604_800_000))] {
            assert_eq!(span(text), Ok(wanted), "{text}");
        }
        for (text, wanted) in [("500MB", 500_000_000), ("2GiB", 2 << 30), ("1.5kB", 1500), ("0B", 0)] {
            assert_eq!(bytes(text), Ok(wanted), "{text}");
        }
        for bad in ["", "20", "ms", "-1s", "1e3s", "1.2.3s", "20 MS", "1 week", "99999999999999d"] {
            assert!(span(bad).is_err(), "{bad}");
        }
        for bad in ["", "500", "500mb", "-1MB", "x"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
        assert_eq!(size_px("1280x720"), Ok((1280, 720)));
        for bad in ["1280", "0x2", "1280x", "9000x9000", "1280X720", "+640x480x"] {
            assert!(size_px(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn they_are_written_in_the_largest_unit_that_fits() {
        assert_eq!([0, 20, 1500, 60_000, 604_800_000].map(|ms| span_text(Duration::from_millis(ms))), ["0s", "20ms", "1500ms", "1m", "7d"]);
        assert_eq!([0, 999, 2 << 30, 500_000_000].map(bytes_text), ["0B", "999B", "2GiB", "500MB"]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(count in any::<u64>()) {
            prop_assert_eq!(span(&span_text(Duration::from_nanos(count))), Ok(Duration::from_nanos(count)));
            prop_assert_eq!(bytes(&bytes_text(count)), Ok(count));
        }
    }
}
