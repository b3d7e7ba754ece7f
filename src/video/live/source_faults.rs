//! Why a source failed, in words that say where and what to do, and that never show a secret.

use std::fmt;
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, select};
use url::Url;

use super::settings::Input;
use crate::error::{Error, Result};
use crate::secret::Secret;

/// How long a server is asked whether anybody is there, after GStreamer has failed to say.
const PROBE: Duration = Duration::from_secs(2);
/// Parts of names of a query's fields whose values are not shown; those that end in `key` are not either.
const HUSHED: [&str; 7] = ["pass", "pwd", "token", "secret", "auth", "sig", "user"];

/// What a source is called in messages, and what they must not contain.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// A URL without credentials, a path, or what it is.
    pub name: String,
    secrets: Vec<Secret>,
    /// Given with the source.
    has_user: bool,
    /// Host and port of a server that takes TCP connections, where GStreamer may not say why there is none.
    server: Option<(String, u16)>,
}

/// What it is called where people read it: without credentials.
impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&Place::of(self).name)
    }
}

impl Place {
    pub fn of(input: &Input) -> Place {
        let (name, user, password) = match input {
            Input::Rtsp(rtsp) => (shown(&rtsp.url), &rtsp.user, &rtsp.password),
            Input::Uri(uri) => (shown(&uri.uri), &uri.user, &uri.password),
            Input::Srt(srt) => (shown(&srt.uri), &None, &srt.passphrase),
            Input::Device(device) => (device.path.display().to_string(), &None, &None),
            Input::File(file) => (file.path.display().to_string(), &None, &None),
            Input::Udp(udp) => (format!("udp://{}", udp.listen), &None, &None),
            Input::Test(test) => (format!("test pattern {}", test.pattern), &None, &None),
            Input::Text(_) => ("the source's GStreamer text".to_owned(), &None, &None),
        };
        let url = match input {
            Input::Rtsp(rtsp) => Url::parse(&rtsp.url).ok(),
            Input::Uri(uri) => Url::parse(&uri.uri).ok(),
            Input::Srt(_) | Input::Device(_) | Input::File(_) | Input::Udp(_) | Input::Test(_) | Input::Text(_) => None,
        };
        // An operator's text may have a password in it, and is quoted where GStreamer does not take it.
        let text = if let Input::Text(text) = input { Some(Secret::new(text.trim().trim_end_matches('!'))) } else { None };
        let secrets = password.iter().cloned().chain(url.as_ref().and_then(Url::password).map(Secret::new)).chain(text);
        let has_user = user.is_some() || url.as_ref().is_some_and(|url| !url.username().is_empty());
        let server = url.as_ref().filter(|url| url.scheme().starts_with("rtsp") || url.scheme().starts_with("http"));
        let server = server.and_then(|url| Some((url.host_str()?.trim_matches(['[', ']']).to_owned(), port(url)?)));
        Place { name, secrets: secrets.filter(|secret| !secret.reveal().is_empty()).collect(), has_user, server }
    }

    /// GStreamer's words without what nobody may read: secrets, and credentials inside URLs.
    pub fn clean(&self, words: &str) -> String {
        let hidden = self.secrets.iter().fold(words.to_owned(), |words, secret| words.replace(secret.reveal(), "…"));
        // libsoup's messages have the URL and where it leads to behind what is the matter.
        let hidden = match hidden.split_once(", URL: ") {
            Some((matter, _)) if matter.contains(" (") => format!("{matter})"),
            Some((matter, _)) => matter.to_owned(),
            None => hidden,
        };
        hidden.split_inclusive([' ', '\'', '"', '(', ')', ',']).map(without_credentials).collect()
    }

    /// The error that a message on the bus stands for. May ask the server's address whether anybody is there, until `halted` is closed.
    pub fn fault(&self, error: &gst::glib::Error, words: &str, missing: Option<&str>, halted: &Receiver<()>) -> Error {
        let name = &self.name;
        let words = self.clean(words);
        if let Some(missing) = missing {
            return Error::runtime(format!("{name}: {missing}"));
        }
        if error.matches(gst::ResourceError::NotAuthorized) || words.contains("Unauthorized") {
            return Error::runtime(if self.has_user {
                format!("{name}: the server refuses this user and password: check `user` and what `password_file` holds")
            } else {
                format!("{name}: the server wants to know who asks: set `user` and `password_file`")
            });
        }
        if words.contains("Connection refused") {
            return Error::runtime(format!("{name}: connection refused: does its server run, and is the port right?"));
        }
        if let Some(why) = self.server.as_ref().filter(|_| is_vague(error)).and_then(|server| unreachable(server, halted)) {
            return Error::runtime(format!("{name}: {why}"));
        }
        if words.starts_with("No supported stream") {
            return Error::data(format!("{name}: there is no video in it, or not by the `transport` that is asked for"));
        }
        if error.matches(gst::ResourceError::NotFound) {
            return Error::no_input(format!("{name}: {words}: is the name right?"));
        }
        if error.matches(gst::CoreError::MissingPlugin) {
            return Error::runtime(format!("{name}: {words}; `gradcast check` lists what is missing"));
        }
        if error.is::<gst::StreamError>() {
            return Error::data(format!("{name}: what comes cannot be decoded: {words}"));
        }
        Error::runtime(format!("{name}: {words}"))
    }

    pub fn no_video(&self) -> Error {
        Error::data(format!("{}: there is no video in it", self.name))
    }

    pub fn nothing_decoded(&self) -> Error {
        Error::data(format!("{}: it ended, and nothing in it could be decoded", self.name))
    }
}

/// Where GStreamer says only that it did not work.
fn is_vague(error: &gst::glib::Error) -> bool {
    error.matches(gst::ResourceError::OpenReadWrite)
        || error.matches(gst::ResourceError::OpenRead)
        || error.matches(gst::StreamError::Failed)
}

/// Why nobody is reached, or `None` where somebody is, or where it is not known in time.
fn unreachable((host, port): &(String, u16), halted: &Receiver<()>) -> Option<String> {
    let (say, said) = crossbeam_channel::bounded(1);
    let (asked, port) = (host.clone(), *port);
    // A name server may keep it waiting; then it ends by itself, later.
    let spawned = thread::Builder::new().name("source-probe".into()).spawn(move || {
        let _ = say.send(reach(&asked, port));
    });
    spawned.ok()?;
    let reached = select! {
        recv(said) -> reached => reached.ok()?,
        recv(halted) -> _ => return None,
        default(PROBE) => return None,
    };
    let fault = reached.err()?;
    Some(match fault.kind() {
        io::ErrorKind::ConnectionRefused => format!("connection refused: does its server run, and is {port} its port?"),
        io::ErrorKind::TimedOut => format!("nobody answers at {host}, port {port}: is it switched on, and is there a firewall?"),
        io::ErrorKind::NotFound => format!("there is no host {host}: is the name right, and does this machine have a name server?"),
        _ => format!("{host}, port {port}, cannot be reached: {fault}"),
    })
}

fn reach(host: &str, port: u16) -> io::Result<()> {
    let addresses = (host, port).to_socket_addrs().map_err(|error| io::Error::new(io::ErrorKind::NotFound, error))?;
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses {
        match TcpStream::connect_timeout(&address, PROBE / 2) {
            Ok(_) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn port(url: &Url) -> Option<u16> {
    url.port_or_known_default().or(match url.scheme() {
        "rtsp" | "rtspt" | "rtspu" => Some(554),
        "rtsps" => Some(322),
        _ => None,
    })
}

/// A URL as it may be shown: without who asks and by what password, also where a query says so.
pub(super) fn shown(url: &str) -> String {
    let bare = without_credentials(url);
    let Some((front, query)) = bare.split_once('?') else { return bare };
    let fields: Vec<String> = query
        .split('&')
        .map(|field| match field.split_once('=') {
            Some((name, _)) if is_hushed(&name.to_ascii_lowercase()) => format!("{name}=…"),
            _ => field.to_owned(),
        })
        .collect();
    format!("{front}?{}", fields.join("&"))
}

fn is_hushed(name: &str) -> bool {
    name.ends_with("key") || HUSHED.iter().any(|hushed| name.contains(hushed))
}

/// A URL without what stands before an `@` of its authority; other texts as they are.
fn without_credentials(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    // A password that holds a slash and is not escaped: the last `@` of all is the authority's end.
    match rest[..authority]
        .rfind('@')
        .or_else(|| rest.rfind('@').filter(|_| rest[..authority].contains(':') && !has_port(&rest[..authority])))
    {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => text.to_owned(),
    }
}

/// Whether an authority ends in a number behind a colon, and is no user with the beginning of a password.
fn has_port(authority: &str) -> bool {
    authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok())
}

/// A URL with its credentials taken out, for elements that are told them by properties: (URL, user, password).
pub(super) fn taken_apart(url: &str, user: Option<&str>, password: Option<&Secret>) -> Result<(String, Option<String>, Option<Secret>)> {
    let mut parsed = Url::parse(url).map_err(|error| Error::config(format!("{} is no URL: {error}", shown(url))))?;
    if parsed.username().is_empty() && parsed.password().is_none() {
        return Ok((url.to_owned(), user.map(str::to_owned), password.cloned()));
    }
    let of_url = |text: &str| percent_decoded(text);
    let user = user.map(str::to_owned).or_else(|| Some(of_url(parsed.username())));
    let password = password.cloned().or_else(|| parsed.password().map(|password| Secret::new(of_url(password))));
    let kept = parsed.set_username("").is_ok() && parsed.set_password(None).is_ok();
    if !kept {
        return Err(Error::config(format!("{}: a URL of this kind has no user", shown(url))));
    }
    Ok((parsed.into(), user, password))
}

/// RFC 3986, section 2.1.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped =
            (*first == b'%').then(|| tail.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok())).flatten();
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::settings::{RtspInput, Transport};
    use super::*;

    fn place(url: &str, password: Option<&str>) -> Place {
        Place::of(&Input::Rtsp(RtspInput {
            url: url.to_owned(),
            transport: Transport::Tcp,
            user: password.map(|_| "admin".to_owned()),
            password: password.map(Secret::new),
            latency: Duration::ZERO,
        }))
    }

    #[test]
    fn urls_are_shown_without_credentials() {
        for (url, expected) in [
            ("rtsp://camera/stream", "rtsp://camera/stream"),
            ("rtsp://admin:hunter2@camera:554/stream?channel=1", "rtsp://camera:554/stream?channel=1"),
            ("rtsp://admin:a@b@camera/stream", "rtsp://camera/stream"),
            ("rtsp://admin:hunt/er2@camera/stream", "rtsp://camera/stream"),
            ("http://camera:8080/a@b.m3u8", "http://camera:8080/a@b.m3u8"),
            ("http://camera/x.cgi?user=admin&pwd=hunter2&size=2", "http://camera/x.cgi?user=…&pwd=…&size=2"),
            ("srt://host:9000?passphrase=hunter2hunter2&mode=caller", "srt://host:9000?passphrase=…&mode=caller"),
            ("srt://host:9000?pbkeylen=16&ApiKey=hunter2", "srt://host:9000?pbkeylen=16&ApiKey=…"),
        ] {
            assert_eq!(shown(url), expected);
        }
    }

    #[test]
    fn words_are_cleaned_of_secrets() {
        let words = "Forbidden (Forbidden (403), URL: http://a:hunter2@b/c, Redirect to: (NULL))";
        assert_eq!(place("rtsp://b/c", None).clean(words), "Forbidden (Forbidden (403))");
        assert_eq!(place("rtsp://b/c", None).clean("no 'http://a:hunter2@b/c' here"), "no 'http://b/c' here");
        assert_eq!(place("rtsp://b/c", Some("hunter2")).clean("it said hunter2, twice: hunter2"), "it said …, twice: …");
        assert_eq!(place("rtsp://x:hunter3@b/c", None).clean("hunter3"), "…");
    }

    #[test]
    fn credentials_of_a_url_become_properties() {
        let (url, user, password) = taken_apart("rtsp://me:p%40ss@camera:8554/x?y=1", None, None).unwrap();
        assert_eq!((url.as_str(), user.as_deref(), password.unwrap().reveal()), ("rtsp://camera:8554/x?y=1", Some("me"), "p@ss"));
        let (url, user, password) = taken_apart("rtsp://camera/x", Some("you"), Some(&Secret::new("s"))).unwrap();
        assert_eq!((url.as_str(), user.as_deref(), password.unwrap().reveal()), ("rtsp://camera/x", Some("you"), "s"));
        assert!(taken_apart("rtsp://u:hunter2@:x/", None, None).unwrap_err().to_string().starts_with("rtsp://:x/ is no URL"));
        assert_eq!(percent_decoded("100%&%zz%4"), "100%&%zz%4");
    }

    #[test]
    fn nobody_at_a_port_is_said_to_be_so() {
        let (_halt, halted) = crossbeam_channel::bounded(0);
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let server = ("127.0.0.1".to_owned(), free.local_addr().unwrap().port());
        assert_eq!(unreachable(&server, &halted), None);
        drop(free);
        assert!(unreachable(&server, &halted).unwrap().starts_with("connection refused"));
    }
}
