//! What a configuration wants of the machine: devices, encoders, ports, files and folders.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::time::Duration;

use crate::config;
use crate::engine::{Asked, Precision};
use crate::process;
use crate::stream::live;
use crate::video::live::{Input, SinkKind, pick_encoder};

/// How long whoever has a port may take to say who it is, and how much it may say.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);
const ANSWER_BYTES: u64 = 4096;

/// What is missing, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault(pub String);

/// Where it is computed.
pub fn device(asked: &Asked) -> Result<String, Fault> {
    let (devices, remark) = config::devices(asked).map_err(|fault| Fault(format!("engine.device: {fault}")))?;
    let precision = Precision::fastest(&devices).name();
    Ok(match remark {
        Some(remark) => format!("{devices}, in {precision} where nothing is said; {remark}"),
        None => format!("{devices}, in {precision} where nothing is said"),
    })
}

/// An encoder that works, by really encoding.
pub fn encoder(asked: Option<&str>) -> Result<String, Fault> {
    match pick_encoder(asked) {
        Ok(picked) => Ok(format!("encoder {}", picked.element)),
        Err(error) => Err(Fault(error.to_string())),
    }
}

/// Each port that would be listened at: taken for a moment and let go.
pub fn ports(http: SocketAddr, rtsp: Option<SocketAddr>, streams: &[live::Settings]) -> Vec<Result<String, Fault>> {
    // The daemon that runs with this configuration has them: that is as it should be.
    let ours = is_gradcast(http);
    let held = |listen: SocketAddr, who: &str, bound: io::Result<()>| match bound {
        Err(error) if ours && error.kind() == io::ErrorKind::AddrInUse => {
            Ok(format!("{listen} is in use by the gradcast that runs ({who})"))
        }
        bound => port(listen, who, bound),
    };
    let tcp = |listen: SocketAddr, who: &str| held(listen, who, TcpListener::bind(listen).map(drop));
    let mut ports = vec![tcp(http, "http.listen")];
    ports.extend(rtsp.map(|listen| tcp(listen, "rtsp.listen")));
    for stream in streams {
        if let Input::Udp(udp) = &stream.source.input {
            // A group's own address is not one of this machine's.
            let own = if udp.listen.ip().is_multicast() { SocketAddr::from(([0, 0, 0, 0], udp.listen.port())) } else { udp.listen };
            ports.push(held(udp.listen, &format!("stream.{}.source.listen", stream.name), UdpSocket::bind(own).map(drop)));
        }
    }
    ports
}

/// Whether a gradcast answers there: its HTTP names it.
fn is_gradcast(http: SocketAddr) -> bool {
    let ask = || -> io::Result<String> {
        let mut connection = TcpStream::connect_timeout(&http, ANSWERS_WITHIN)?;
        connection.set_read_timeout(Some(ANSWERS_WITHIN))?;
        connection.write_all(format!("GET /-/healthy HTTP/1.1\r\nHost: {http}\r\nConnection: close\r\n\r\n").as_bytes())?;
        let mut answer = String::new();
        connection.take(ANSWER_BYTES).read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 ") && answer.lines().any(|line| line.eq_ignore_ascii_case("server: gradcast")))
}

fn port(listen: SocketAddr, who: &str, bound: io::Result<()>) -> Result<String, Fault> {
    match bound {
        Ok(()) => Ok(format!("{listen} is free ({who})")),
        Err(error) => Err(Fault(match error.kind() {
            io::ErrorKind::AddrInUse => {
                format!("{listen} is taken ({who}); give another port, or end who has it: ss -lnp 'sport = :{}'", listen.port())
            }
            io::ErrorKind::AddrNotAvailable => format!("{listen} is no address of this machine ({who}); `ip address` lists them"),
            io::ErrorKind::PermissionDenied => format!("{listen} may not be listened at ({who}); ports below 1024 are for root"),
            _ => format!("{listen} cannot be listened at ({who}): {error}"),
        })),
    }
}

/// The files, devices and folders of a stream.
pub fn places(stream: &live::Settings) -> Vec<Result<String, Fault>> {
    let mut places = Vec::new();
    let who = format!("stream.{}.source", stream.name);
    match &stream.source.input {
        Input::File(file) => places.push(readable(&file.path, &who)),
        Input::Device(device) => places.push(writable(&device.path, &who)),
        _ => {}
    }
    for sink in &stream.output.sinks {
        let who = format!("stream.{}.sink {}", stream.name, sink.name);
        match &sink.kind {
            SinkKind::Segments(segments) | SinkKind::Hls(segments) => places.push(folder(&segments.folder, &who)),
            SinkKind::Device(path) => places.push(writable(path, &who)),
            SinkKind::File(path) if path.symlink_metadata().is_ok() => {
                places.push(Err(Fault(format!("{} is there already ({who}); move it away, or name another file", path.display()))));
            }
            SinkKind::File(path) => places.push(folder(path.parent().unwrap_or(Path::new("/")), &who)),
            SinkKind::Rtsp { .. } | SinkKind::Push(_) | SinkKind::Text(_) => {}
        }
    }
    places
}

fn readable(path: &Path, who: &str) -> Result<String, Fault> {
    match File::open(path).and_then(|file| file.metadata()) {
        Ok(metadata) if metadata.is_file() => Ok(format!("{} ({who})", path.display())),
        Ok(_) => Err(Fault(format!("{} is no file ({who})", path.display()))),
        Err(error) => Err(Fault(format!("{} cannot be read ({who}): {error}", path.display()))),
    }
}

/// A file or device that is there and may be written.
fn writable(path: &Path, who: &str) -> Result<String, Fault> {
    match fs::metadata(path) {
        Ok(_) if process::may_write(path) => Ok(format!("{} ({who})", path.display())),
        Ok(_) => Err(Fault(format!("{} may not be written ({who}); let gradcast's user, as a member of its group", path.display()))),
        Err(error) => Err(Fault(format!("{} is not there ({who}): {error}", path.display()))),
    }
}

/// A folder where files can be made, or can be made itself.
fn folder(path: &Path, who: &str) -> Result<String, Fault> {
    let there = path.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    match (there == path, there.is_dir() && process::may_write(there)) {
        (true, true) => Ok(format!("{} ({who})", path.display())),
        (false, true) => Ok(format!("{} ({who}); it will be made", path.display())),
        (true, false) => Err(Fault(format!("{} is no folder that may be written ({who}); let gradcast's user", path.display()))),
        (false, false) => Err(Fault(format!(
            "{} is not there and cannot be made ({who}): {} may not be written; make it, and let gradcast's user write it",
            path.display(),
            there.display()
        ))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_free_taken_or_somebody_else_s() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let taken = listener.local_addr().unwrap();
        let Fault(told) = ports(taken, None, &[]).remove(0).unwrap_err();
        assert!(told.starts_with(&format!("{taken} is taken (http.listen); give another port")), "{told}");
        drop(listener);
        assert_eq!(ports(taken, None, &[]), [Ok(format!("{taken} is free (http.listen)"))]);
        let Fault(told) = ports(taken, Some("192.0.2.1:8554".parse().unwrap()), &[]).remove(1).unwrap_err();
        assert!(told.starts_with("192.0.2.1:8554 is no address of this machine (rtsp.listen)"), "{told}");
    }

    #[test]
    fn ports_of_the_gradcast_that_runs_are_as_they_should_be() {
        let (http, rtsp) = (TcpListener::bind(("127.0.0.1", 0)).unwrap(), TcpListener::bind(("127.0.0.1", 0)).unwrap());
        let (at, streams_at) = (http.local_addr().unwrap(), rtsp.local_addr().unwrap());
        let answer = |server: &'static str| {
            let http = http.try_clone().unwrap();
            std::thread::spawn(move || {
                let (mut connection, _) = http.accept().unwrap();
                let _ = connection.read(&mut [0; 1024]);
                connection.write_all(format!("HTTP/1.1 200 OK\r\nserver: {server}\r\n\r\nhealthy\n").as_bytes()).unwrap();
            })
        };
        let other = answer("nginx");
        assert!(ports(at, Some(streams_at), &[]).iter().all(Result::is_err));
        other.join().unwrap();
        let own = answer("gradcast");
        let told = ports(at, Some(streams_at), &[]);
        own.join().unwrap();
        assert_eq!(told[1], Ok(format!("{streams_at} is in use by the gradcast that runs (rtsp.listen)")));
    }

    #[test]
    fn folders_are_there_or_can_be_made() {
        let scratch = tempfile::tempdir().unwrap();
        let told = |path: &Path| folder(path, "w");
        assert_eq!(told(scratch.path()), Ok(format!("{} (w)", scratch.path().display())));
        let inner = scratch.path().join("a/b");
        assert_eq!(told(&inner), Ok(format!("{} (w); it will be made", inner.display())));
        let file = scratch.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(told(&file).is_err() && told(&file.join("b")).is_err());
        assert_eq!(readable(&file, "w"), Ok(format!("{} (w)", file.display())));
        assert!(readable(scratch.path(), "w").is_err() && readable(&inner, "w").is_err() && writable(&inner, "w").is_err());
    }
}
