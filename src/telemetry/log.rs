//! The log: lines on standard error, for people at a terminal, for files, and for systemd's journal, each as it wants them.
//!
//! It has what gradcast itself tells. GStreamer's warnings are not in it: they are about elements, and what matters of them comes as an
//! error of a source or sink; `GST_DEBUG` shows them on standard error beside it.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::{self, IsTerminal};
use std::os::unix::fs::MetadataExt;
use std::str::FromStr;

use tracing::{Event, Level as TracingLevel, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

use crate::error::{Error, Result};

/// Goes before the configuration's level: a level, or directives as `hyper=info,gradcast=debug`.
const VARIABLE: &str = "GRADCAST_LOG";

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Level {
    /// What failed.
    Error,
    /// And what may soon.
    Warn,
    /// And what changed.
    #[default]
    Info,
    /// And what was decided on the way.
    Debug,
    /// And every step.
    Trace,
}

impl Level {
    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
        }
    }

    /// As a filter. Libraries are asked only what is wrong: their steps are not ours.
    fn directives(self) -> String {
        match self {
            Level::Error => "error".to_owned(),
            Level::Trace => "trace".to_owned(),
            level => format!("warn,gradcast={}", level.name()),
        }
    }
}

impl FromStr for Level {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let all = [Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace];
        all.into_iter()
            .find(|level| level.name() == text)
            .ok_or_else(|| Error::config(format!("`{text}` is no log level; there are error, warn, info, debug and trace")))
    }
}

/// Begins to log, for the rest of the process. `level` is the configuration's; `GRADCAST_LOG` goes before it.
///
/// # Errors
/// Kind::Config where `GRADCAST_LOG` is none, Kind::Runtime where the process logs already.
pub fn start(level: Level) -> Result<()> {
    let asked = env::var(VARIABLE).ok();
    let filter = filter(level, asked.as_deref())?;
    let stderr = fs::metadata("/dev/stderr").ok().map(|file| (file.dev(), file.ino()));
    let form = if is_the_journal(env::var_os("JOURNAL_STREAM").as_deref(), stderr) { Form::Journal } else { Form::Lines };
    let colours = form == Form::Lines && io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing::subscriber::set_global_default(subscriber(filter, form, colours, io::stderr))
        .map_err(|error| Error::runtime("the log is started twice").with_source(error))
}

fn subscriber<W>(filter: EnvFilter, form: Form, colours: bool, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).event_format(form).with_writer(writer).finish()
}

fn filter(level: Level, asked: Option<&str>) -> Result<EnvFilter> {
    let directives = match asked.map(str::trim).filter(|asked| !asked.is_empty()) {
        None => level.directives(),
        Some(asked) => asked.parse::<Level>().map_or_else(|_| asked.to_owned(), Level::directives),
    };
    EnvFilter::builder().parse(&directives).map_err(|error| {
        let what = format!("{VARIABLE}={directives} cannot be read; give a level, or directives as hyper=info,gradcast=debug");
        Error::config(what).with_source(error)
    })
}

/// Whether standard error is the stream that systemd opened to the journal: `JOURNAL_STREAM` is inherited by whatever a service starts,
/// also where that has sent its standard error elsewhere. It is device:inode, both in decimal.
fn is_the_journal(variable: Option<&OsStr>, stderr: Option<(u64, u64)>) -> bool {
    let named = variable.and_then(OsStr::to_str).and_then(|text| {
        let (device, inode) = text.split_once(':')?;
        Some((device.parse::<u64>().ok()?, inode.parse::<u64>().ok()?))
    });
    named.is_some() && named == stderr
}

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Time (UTC), level, message, fields.
    Lines,
    /// The priority as `<N>`, message, fields. The journal has its own times.
    Journal,
}

/// syslog's number of a level.
fn priority(level: TracingLevel) -> u8 {
    match level {
        TracingLevel::ERROR => 3,
        TracingLevel::WARN => 4,
        TracingLevel::INFO => 6,
        _ => 7,
    }
}

/// The number of a colour of terminals.
fn colour(level: TracingLevel) -> u8 {
    match level {
        TracingLevel::ERROR => 31,
        TracingLevel::WARN => 33,
        TracingLevel::INFO => 32,
        _ => 2,
    }
}

impl<S, N> FormatEvent<S, N> for Form
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let level = *event.metadata().level();
        match self {
            Form::Journal => write!(writer, "<{}>", priority(level))?,
            Form::Lines => {
                SystemTime.format_time(&mut writer)?;
                match writer.has_ansi_escapes() {
                    true => write!(writer, " \x1b[{}m{level:<5}\x1b[0m ", colour(level))?,
                    false => write!(writer, " {level:<5} ")?,
                }
            }
        }
        // Only those who look for a place in the code want to know it.
        if level > TracingLevel::INFO {
            write!(writer, "{}: ", event.metadata().target())?;
        }
        let mut fields = String::new();
        context.format_fields(Writer::new(&mut fields), event)?;
        // One event is one line: what a camera or a viewer sends must not make others.
        for c in fields.chars() {
            match c.is_control() {
                true => write!(writer, "{}", c.escape_default())?,
                false => writer.write_char(c)?,
            }
        }
        writer.write_char('\n')
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written while `told` runs.
    fn logged(level: Level, asked: Option<&str>, form: Form, told: impl FnOnce()) -> String {
        let memory = Memory::default();
        let writer = memory.clone();
        let subscriber = subscriber(filter(level, asked).unwrap(), form, false, move || writer.clone());
        tracing::subscriber::with_default(subscriber, told);
        String::from_utf8(memory.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn the_journal_gets_priorities_and_no_times() {
        let text = logged(Level::Debug, None, Form::Journal, || {
            tracing::error!("the port is taken");
            tracing::warn!(stream = "front", reason = %"stall", "connecting again");
            tracing::info!(streams = 2, "ready");
            tracing::debug!("an element");
            tracing::trace!("too much");
        });
        let lines: Vec<&str> = text.lines().collect();
        let expected = [
            "<3>the port is taken",
            "<4>connecting again stream=\"front\" reason=stall",
            "<6>ready streams=2",
            "<7>gradcast::telemetry::log::tests: an element",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn people_get_times_and_levels() {
        let text = logged(Level::Info, None, Form::Lines, || {
            tracing::warn!(stream = "front", "late");
            tracing::debug!("not asked for");
        });
        let (time, rest) = text.split_once(' ').unwrap();
        assert!(time.len() > "2026-01-01T00:00:00Z".len() && time.starts_with("20") && time.ends_with('Z'), "{text}");
        assert_eq!(rest, "WARN  late stream=\"front\"\n");
    }

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        let text = logged(Level::Info, None, Form::Journal, || {
            tracing::info!(answer = %"401\r\n<3>all is lost", "the camera said\x1b[2J no");
        });
        assert_eq!(text, "<6>the camera said\\x1b[2J no answer=401\\r\\n<3>all is lost\n");
    }

    #[test]
    fn the_variable_goes_before_the_level_and_libraries_are_quiet() {
        let told = || {
            tracing::info!("ours");
            tracing::info!(target: "hyper::proto", "theirs");
            tracing::warn!(target: "hyper::proto", "theirs is wrong");
        };
        let lines = |level, asked| logged(level, asked, Form::Journal, told).lines().count();
        assert_eq!(lines(Level::Info, None), 2);
        assert_eq!(lines(Level::Info, Some("  ")), 2);
        assert_eq!(lines(Level::Info, Some("error")), 0);
        assert_eq!(lines(Level::Error, Some("hyper=info")), 2);
        assert_eq!(lines(Level::Trace, None), 3);
    }

    #[test]
    fn what_is_no_level_is_refused() {
        let error = "loud".parse::<Level>().unwrap_err();
        assert_eq!(error.to_string(), "`loud` is no log level; there are error, warn, info, debug and trace");
        assert_eq!("warn".parse::<Level>().unwrap(), Level::Warn);
        let error = filter(Level::Info, Some("gradcast=loud")).unwrap_err();
        assert!(error.exit_code() == 78 && error.to_string().starts_with("GRADCAST_LOG=gradcast=loud cannot be read"), "{error}");
    }

    #[test]
    fn the_journal_is_there_where_standard_error_is_its_stream() {
        let said = |text: &str, stderr| is_the_journal(Some(OsStr::new(text)), stderr);
        assert!(said("8:12345", Some((8, 12345))));
        assert!(!said("8:12345", Some((8, 12346))));
        assert!(!said("8:12345", None) && !said("yes", None) && !said("", Some((0, 0))));
        assert!(!is_the_journal(None, None));
    }
}
