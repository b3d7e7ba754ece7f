//! HTTP and HLS.

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use gradcast::secret::Secret;
use gradcast::video::live::{Input, UriInput};

use crate::taking::{failure, ffmpeg, lossless, media, next, picture, settings, start, take, take_all};

fn uri(uri: String) -> Input {
    Input::Uri(UriInput { uri, user: None, password: None })
}

/// Serves the files of a folder over HTTP/1.1, with ranges; asks for these credentials, as they stand in the header. Its thread ends with
/// the process.
struct Files {
    port: u16,
}

impl Files {
    fn serve(folder: &Path, basic: Option<&'static str>) -> Files {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let folder: Arc<Path> = folder.into();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let folder = Arc::clone(&folder);
                thread::spawn(move || while answer(&stream, &folder, basic).is_some() {});
            }
        });
        Files { port }
    }

    fn at(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}/{name}", self.port)
    }
}

/// Answers one request. `None` where the connection is over.
fn answer(mut stream: &TcpStream, folder: &Path, basic: Option<&str>) -> Option<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next()?.ok()?;
    let headers: Vec<(String, String)> =
        lines.map_while(|line| line.ok()?.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))).collect();
    let header = |name: &str| headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
    let name = request.split(' ').nth(1)?.trim_start_matches('/').split('?').next()?;
    if basic.is_some_and(|basic| header("authorization") != Some(&format!("Basic {basic}"))) {
        let head = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"clips\"\r\nContent-Length: 0\r\n\r\n";
        return stream.write_all(head.as_bytes()).ok();
    }
    let Ok(mut file) = std::fs::File::open(folder.join(name)) else {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").ok();
    };
    let length = file.metadata().ok()?.len();
    let from: Option<u64> = header("range").and_then(|range| range.strip_prefix("bytes=")?.split('-').next()?.parse().ok());
    let start = from.unwrap_or(0).min(length);
    file.seek(SeekFrom::Start(start)).ok()?;
    let mut body = Vec::new();
    file.read_to_end(&mut body).ok()?;
    let status = if from.is_some() { "206 Partial Content" } else { "200 OK" };
    let kind = if name.ends_with(".m3u8") { "application/vnd.apple.mpegurl" } else { "application/octet-stream" };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nAccept-Ranges: bytes\r\nContent-Length: {}\r\nContent-Range: bytes {start}-{}/{length}\r\n\r\n",
        body.len(),
        length.saturating_sub(1)
    );
    stream.write_all(head.as_bytes()).ok()?;
    if request.starts_with("GET") { stream.write_all(&body).ok() } else { Some(()) }
}

#[test]
fn a_clip_comes_over_http() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(media("bigbuckbunny.mp4"), folder.path().join("clip.mp4")).unwrap();
    let files = Files::serve(folder.path(), None);
    let seen = take_all(&start(&lossless(uri(files.at("clip.mp4")))));
    assert_eq!(seen.len(), 132);
    // Live: at its own times.
    let source = start(&settings(uri(files.at("clip.mp4"))));
    let first = next(&source);
    picture(&first, "http");
    let mut last = next(&source);
    for _ in 0..20 {
        last = next(&source);
    }
    assert!(last.decoded + Duration::from_millis(500) > first.decoded + (last.frame.pts - first.frame.pts));
    assert!(source.stop());
}

#[test]
fn faults_of_http_are_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(media("bigbuckbunny.mp4"), folder.path().join("clip.mp4")).unwrap();
    let fails = |uri: Input| failure(&start(&settings(uri))).to_string();
    let files = Files::serve(folder.path(), None);
    let error = fails(uri(files.at("absent.mp4")));
    assert!(error.starts_with(&files.at("absent.mp4")) && error.contains("is the name right?"), "{error}");
    println!("{error}");
    // user:hunter2
    let guarded = Files::serve(folder.path(), Some("dXNlcjpodW50ZXIy"));
    let error = fails(uri(guarded.at("clip.mp4")));
    assert!(error.contains("set `user` and `password_file`"), "{error}");
    let with =
        |password: &str| UriInput { uri: guarded.at("clip.mp4"), user: Some("user".to_owned()), password: Some(Secret::new(password)) };
    let error = fails(Input::Uri(with("swordfish")));
    assert!(error.contains("check `user`") && !error.contains("swordfish"), "{error}");
    let source = start(&settings(Input::Uri(with("hunter2"))));
    take(&source, 3);
    assert!(source.stop());
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = fails(uri(format!("http://{closed}/clip.mp4")));
    assert!(error.contains("connection refused"), "{error}");
    let error = fails(uri("http://no-such-host.invalid/clip.mp4".to_owned()));
    assert!(error.contains("there is no host no-such-host.invalid"), "{error}");
    let error = fails(uri("gopher://127.0.0.1/clip.mp4".to_owned()));
    assert!(error.contains("gopher"), "{error}");
    println!("{error}");
}

/// Of one second each.
const SEGMENTS: &str =
    "-vf scale=320:180 -c:v libx264 -preset ultrafast -g 25 -keyint_min 25 -sc_threshold 0 -an -f hls -hls_time 1 -hls_list_size 0";

#[test]
fn hls_comes_whole_and_in_time() {
    let folder = tempfile::tempdir().unwrap();
    ffmpeg(folder.path(), "clip.m3u8", &format!("-i {} {SEGMENTS}", media("bigbuckbunny.mp4").display()));
    let files = Files::serve(folder.path(), None);
    let seen = take_all(&start(&lossless(uri(files.at("clip.m3u8")))));
    assert_eq!(seen.len(), 132);
    let source = start(&settings(uri(files.at("clip.m3u8"))));
    let first = next(&source);
    picture(&first, "hls");
    let mut last = next(&source);
    for _ in 0..40 {
        last = next(&source);
    }
    assert!(last.decoded + Duration::from_millis(500) > first.decoded + (last.frame.pts - first.frame.pts));
    assert!(source.stop());
}

/// A playlist that grows while it is played, which is what a live server has; guarded and not.
#[test]
fn hls_that_goes_on_is_followed_with_and_without_credentials() {
    for basic in [None, Some("dXNlcjpodW50ZXIy")] {
        let folder = tempfile::tempdir().unwrap();
        let playlist = ffmpeg(folder.path(), "clip.m3u8", &format!("-i {} {SEGMENTS}", media("bigbuckbunny.mp4").display()));
        let whole = std::fs::read_to_string(&playlist).unwrap();
        let count = whole.matches("#EXTINF").count();
        assert!(count >= 4, "{whole}");
        let end = whole.match_indices("#EXTINF").nth(3).unwrap().0;
        std::fs::write(&playlist, &whole[..end]).unwrap();
        let files = Files::serve(folder.path(), basic);
        let (user, password) = (basic.map(|_| "user".to_owned()), basic.map(|_| Secret::new("hunter2")));
        let source = start(&lossless(Input::Uri(UriInput { uri: files.at("clip.m3u8"), user, password })));
        let mut seen = take(&source, 10);
        // At once, so that nobody reads half a playlist.
        std::fs::write(folder.path().join("next"), &whole).unwrap();
        std::fs::rename(folder.path().join("next"), &playlist).unwrap();
        seen.extend(take_all(&source));
        assert_eq!(seen.len(), 132, "{basic:?}");
    }
}
