//! What happened, in Markdown.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::stage::{Ended, STREAMS};
use super::watch::Sample;

/// Rows of the table over time, at most.
const ROWS: usize = 20;
/// Characters of the longest bar.
const BAR: f64 = 30.0;
const MEGA: f64 = 1e6;

/// A fault that was made.
pub struct Incident {
    pub name: &'static str,
    pub again: Duration,
}

pub struct Report {
    pub span: Duration,
    pub incidents: Vec<Incident>,
    /// After the warm-up.
    pub samples: Vec<Sample>,
    pub ended: Ended,
}

/// How a quantity went.
#[derive(Debug, Clone, Copy)]
pub struct Trend {
    /// Median of the first third.
    pub first: f64,
    /// Median of the last third.
    pub last: f64,
    pub most: f64,
    /// By least squares.
    pub slope_per_hour: f64,
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Of (seconds, value).
fn trend(points: &[(f64, f64)]) -> Trend {
    let (third, count) = ((points.len() / 3).max(1), points.len() as f64);
    let values = |points: &[(f64, f64)]| points.iter().map(|point| point.1).collect::<Vec<f64>>();
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (mean_x, mean_y) = (mean(|point| point.0), mean(|point| point.1));
    let covariance: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let variance: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    Trend {
        first: median(values(&points[..third.min(points.len())])),
        last: median(values(&points[points.len().saturating_sub(third)..])),
        most: values(points).into_iter().fold(f64::NAN, f64::max),
        slope_per_hour: covariance / variance * 3600.0,
    }
}

impl Report {
    /// Of memory in bytes, descriptors and threads.
    pub fn trends(&self) -> [Trend; 3] {
        let of = |value: fn(&Sample) -> f64| {
            trend(&self.samples.iter().map(|sample| (sample.at.as_secs_f64(), value(sample))).collect::<Vec<_>>())
        };
        [
            of(|sample| sample.reading.resident_bytes as f64),
            of(|sample| sample.reading.descriptors as f64),
            of(|sample| sample.reading.threads as f64),
        ]
    }

    fn write_incidents(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut by_name: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for incident in &self.incidents {
            by_name.entry(incident.name).or_default().push(incident.again.as_secs_f64());
        }
        writeln!(f, "| fault | times | all is well again after, median | at most |\n|---|---|---|---|")?;
        for (name, spans) in by_name {
            let most = spans.iter().copied().fold(0.0, f64::max);
            writeln!(f, "| {name} | {} | {:.1} s | {most:.1} s |", spans.len(), median(spans.clone()))?;
        }
        Ok(())
    }

    fn write_trends(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [memory, descriptors, threads] = self.trends();
        writeln!(f, "| | first third, median | last third, median | at most | slope by least squares |\n|---|---|---|---|---|")?;
        let mb = |bytes: f64| bytes / MEGA;
        writeln!(
            f,
            "| resident memory | {:.1} MB | {:.1} MB | {:.1} MB | {:+.1} MB an hour |",
            mb(memory.first),
            mb(memory.last),
            mb(memory.most),
            mb(memory.slope_per_hour)
        )?;
        for (name, trend) in [("descriptors", descriptors), ("threads", threads)] {
            let Trend { first, last, most, slope_per_hour } = trend;
            writeln!(f, "| {name} | {first:.0} | {last:.0} | {most:.0} | {slope_per_hour:+.1} an hour |")?;
        }
        Ok(())
    }

    fn write_course(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "```text\n  time     memory  descriptors  threads  explained/s  cores  memory")?;
        let most = self.trends()[0].most;
        for part in self.samples.chunks(self.samples.len().div_ceil(ROWS).max(2)) {
            let (Some(first), Some(last)) = (part.first(), part.last()) else { continue };
            let span = (last.at - first.at).as_secs_f64().max(f64::MIN_POSITIVE);
            let of = |value: fn(&Sample) -> f64| median(part.iter().map(value).collect());
            let memory = of(|sample| sample.reading.resident_bytes as f64);
            // A stream that is removed takes its count with it.
            let explained: u64 = part.windows(2).map(|pair| pair[1].explained.saturating_sub(pair[0].explained)).sum();
            writeln!(
                f,
                "{:3}:{:02} {:7.1} MB {:12.0} {:8.0} {:12.1} {:6.2}  {}",
                first.at.as_secs() / 60,
                first.at.as_secs() % 60,
                memory / MEGA,
                of(|sample| sample.reading.descriptors as f64),
                of(|sample| sample.reading.threads as f64),
                explained as f64 / span,
                (last.reading.cpu.saturating_sub(first.reading.cpu)).as_secs_f64() / span,
                "#".repeat((memory / most * BAR).round() as usize)
            )?;
        }
        writeln!(f, "```")
    }

    fn write_frames(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let drops = &self.ended.drops;
        let reasons = drops.reasons();
        let names = reasons.iter().map(|reason| format!(" {reason} |")).collect::<String>();
        writeln!(f, "| stream | decoded | explained | held | late | dropped |{names} difference |")?;
        writeln!(f, "|---|---|---|---|---|---|{}---|", "---|".repeat(reasons.len()))?;
        for stream in STREAMS {
            let accounts = || self.ended.accounts.iter().filter(|account| account.stream == stream);
            let [decoded, explained, held, late, dropped]: [u64; 5] = [
                accounts().map(|account| account.decoded).sum(),
                accounts().map(|account| account.explained).sum(),
                accounts().map(|account| account.held).sum(),
                accounts().map(|account| account.late).sum(),
                accounts().map(|account| account.dropped).sum(),
            ];
            let by_reason = reasons.iter().map(|reason| format!(" {} |", drops.of(stream, reason))).collect::<String>();
            let difference = decoded as i64 - (explained + held + late + dropped) as i64;
            writeln!(f, "| {stream} | {decoded} | {explained} | {held} | {late} | {dropped} |{by_reason} {difference} |")?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        writeln!(f, "{:.1} minutes, {} faults, {cores} cores.\n", self.span.as_secs_f64() / 60.0, self.incidents.len())?;
        writeln!(f, "## What was done to it\n")?;
        self.write_incidents(f)?;
        writeln!(f, "\n## What grew\n")?;
        self.write_trends(f)?;
        let Ended { calm, calm_again, slowest_answer, viewers, .. } = &self.ended;
        writeln!(
            f,
            "\nWhen all had calmed down: {} descriptors and {} threads, {} and {} in the beginning. The slowest answer about all streams, \
             asked for once a second, took {:.2} s.\n",
            calm_again.descriptors,
            calm_again.threads,
            calm.descriptors,
            calm.threads,
            slowest_answer.as_secs_f64()
        )?;
        self.write_course(f)?;
        writeln!(f, "\n## What became of the frames\n")?;
        self.write_frames(f)?;
        writeln!(f, "\nDrops by reason are those from before the end; what the end itself dropped is only in `dropped`.\n")?;
        writeln!(f, "## What viewers saw\n\n| viewer | packets, or bytes of pictures | came again |\n|---|---|---|")?;
        for (name, count, returns) in viewers {
            writeln!(f, "| {name} | {count} | {returns} |")?;
        }
        Ok(())
    }
}
