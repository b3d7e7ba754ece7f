//! Parts of a video: a span of its time.

use std::time::Duration;

use crate::words;

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

/// A time as seconds, MM:SS or HH:MM:SS, each with a fraction of a second.
pub fn parse_time(text: &str) -> Result<Duration, String> {
    const HINT: &str = "give seconds, as 12.5, or HH:MM:SS.mmm, as 00:01:30.500";
    let parts: Vec<&str> = text.split(':').collect();
    let (last, leading) = parts.split_last().expect("split gives at least one part");
    let seconds = words::plain_seconds(last).ok_or(HINT)?;
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
}
