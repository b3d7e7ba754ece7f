//! Parts of a video: a span of its time, a region of its frames.

use std::str::FromStr;
use std::time::Duration;

/// Which part of the video is taken.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Part of the video")]
pub struct SpanOptions {
    /// Where to start, in seconds or HH:MM:SS.mmm from the video's beginning [default: its beginning].
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub start: Option<Duration>,

    /// How much to take, in seconds or HH:MM:SS.mmm [default: all that follows].
    #[arg(long, value_name = "TIME", value_parser = parse_positive_time)]
    pub duration: Option<Duration>,
}

/// A named box in the frame, in fractions of its width and height.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    /// What the box is called in the output.
    pub name: String,
    /// Left edge, 0 to 1.
    pub x: f64,
    /// Upper edge, 0 to 1.
    pub y: f64,
    /// Width, above 0; `x + width` is at most 1.
    pub width: f64,
    /// Height, above 0; `y + height` is at most 1.
    pub height: f64,
}

impl FromStr for Region {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const HINT: &str = "give NAME=x,y,w,h in fractions of the frame, as door=0.1,0.2,0.25,0.5";
        let (name, sides) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or(HINT)?;
        let sides = sides.split(',').map(|side| side.trim().parse::<f64>().map_err(|_| HINT)).collect::<Result<Vec<f64>, _>>()?;
        let [x, y, width, height] = sides[..] else { return Err(HINT.to_owned()) };
        // A sum of two decimal fractions may lie one rounding above 1.
        let within = |start: f64, size: f64| start >= 0.0 && size > 0.0 && start + size <= 1.0 + 1e-9;
        if !within(x, width) || !within(y, height) {
            return Err(format!("the box of `{name}` is empty or leaves the frame; {HINT}"));
        }
        Ok(Region { name: name.to_owned(), x, y, width, height })
    }
}

/// Seconds with a fraction, from 0 to a day.
pub fn parse_seconds(text: &str) -> Result<Duration, String> {
    plain_seconds(text)
        .filter(|&s| s <= 86_400.0)
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "give seconds, as 1.5, at most a day".to_owned())
}

/// A time as seconds, MM:SS or HH:MM:SS, each with a fraction of a second.
pub fn parse_time(text: &str) -> Result<Duration, String> {
    const HINT: &str = "give seconds, as 12.5, or HH:MM:SS.mmm, as 00:01:30.500";
    let parts: Vec<&str> = text.split(':').collect();
    let (last, leading) = parts.split_last().expect("split gives at least one part");
    let seconds = plain_seconds(last).ok_or(HINT)?;
    if leading.is_empty() {
        return Duration::try_from_secs_f64(seconds).map_err(|_| HINT.to_owned());
    }
    let count = |part: &&str| part.parse::<u32>().ok().filter(|_| part.bytes().all(|byte| byte.is_ascii_digit())).ok_or(HINT);
    let leading = leading.iter().map(count).collect::<Result<Vec<u32>, _>>()?;
    let (hours, minutes) = match leading[..] {
        [minutes] => (0, minutes),
        [hours, minutes] if minutes < 60 => (hours, minutes),
        _ => return Err(HINT.to_owned()),
    };
    if seconds >= 60.0 {
        return Err(HINT.to_owned());
    }
    Ok(Duration::from_secs(u64::from(hours) * 3600 + u64::from(minutes) * 60) + Duration::from_secs_f64(seconds))
}

fn parse_positive_time(text: &str) -> Result<Duration, String> {
    parse_time(text).and_then(|time| if time.is_zero() { Err("give a time above 0".to_owned()) } else { Ok(time) })
}

/// Digits with at most one point: neither sign nor exponent nor `inf`.
fn plain_seconds(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let ms = Duration::from_millis;
        assert_eq!(parse_time("0"), Ok(ms(0)));
        assert_eq!(parse_time("12.5"), Ok(ms(12_500)));
        assert_eq!(parse_time("90"), Ok(ms(90_000)));
        assert_eq!(parse_time("1:30.25"), Ok(ms(90_250)));
        assert_eq!(parse_time("01:00:00.001"), Ok(ms(3_600_001)));
        for bad in ["", ":", "-1", "1e3", "inf", "1:60", "1:60:00", "1:2:3:4", "+1:00", "a", "1:", "99999999999999999999999999"] {
            assert!(parse_time(bad).is_err(), "{bad}");
        }
        assert!(parse_positive_time("0").is_err());
    }

    #[test]
    fn regions() {
        let door = Region { name: "door".to_owned(), x: 0.1, y: 0.2, width: 0.9, height: 0.5 };
        assert_eq!("door=0.1,0.2,0.9,0.5".parse(), Ok(door));
        for bad in ["door", "=0,0,1,1", "a=0,0,1", "a=0,0,0,1", "a=0.5,0,0.6,1", "a=-0.1,0,0.5,1", "a=0,0,NaN,1", "a=0,0,1,1,1"] {
            assert!(bad.parse::<Region>().is_err(), "{bad}");
        }
    }
}
