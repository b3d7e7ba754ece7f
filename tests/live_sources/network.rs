//! MPEG-TS over SRT and UDP, sent by pipelines of the test.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use gradcast::secret::Secret;
use gradcast::video::live::{Input, SrtInput, UdpInput};
use gst::prelude::*;

use crate::taking::{event, failure, has_bars, next, picture, settings, start, take};

/// A running pipeline; stopped when it goes.
struct Sender(gst::Pipeline);

impl Sender {
    fn start(sink: &str, passphrase: Option<&str>) -> Sender {
        gst::init().unwrap();
        let text = format!(
            "videotestsrc is-live=true pattern=smpte ! video/x-raw,format=I420,width=320,height=240,framerate=15/1 ! \
             x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 bitrate=800 ! h264parse config-interval=-1 ! \
             mpegtsmux alignment=7 ! {sink} name=sink"
        );
        let pipeline = gst::parse::launch(&text).unwrap().downcast::<gst::Pipeline>().unwrap();
        if let Some(passphrase) = passphrase {
            pipeline.by_name("sink").unwrap().set_property("passphrase", passphrase);
        }
        pipeline.set_state(gst::State::Playing).unwrap();
        Sender(pipeline)
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let _ = self.0.set_state(gst::State::Null);
    }
}

fn free_udp_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn srt(uri: String, passphrase: Option<&str>) -> Input {
    Input::Srt(SrtInput { uri, passphrase: passphrase.map(Secret::new), latency: Duration::from_millis(100) })
}

#[test]
fn srt_comes_as_caller_and_as_listener() {
    let port = free_udp_port();
    let sender = Sender::start(&format!("srtsink uri=srt://127.0.0.1:{port}?mode=listener wait-for-connection=false"), None);
    let source = start(&settings(srt(format!("srt://127.0.0.1:{port}?mode=caller"), None)));
    let first = next(&source);
    has_bars(&first);
    picture(&first, "srt");
    take(&source, 10);
    drop(sender);
    println!("SRT's sender gone: {:?}", event(&source));
    assert!(source.stop());

    let port = free_udp_port();
    let source = start(&settings(srt(format!("srt://127.0.0.1:{port}?mode=listener"), None)));
    let _sender = Sender::start(&format!("srtsink uri=srt://127.0.0.1:{port}?mode=caller"), None);
    take(&source, 10);
    assert!(source.stop());
}

#[test]
fn srt_with_a_passphrase() {
    let port = free_udp_port();
    let text = format!("srtsink uri=srt://127.0.0.1:{port}?mode=listener wait-for-connection=false pbkeylen=16");
    let _sender = Sender::start(&text, Some("correct horse battery"));
    let uri = format!("srt://127.0.0.1:{port}?mode=caller&pbkeylen=16");
    let source = start(&settings(srt(uri.clone(), Some("correct horse battery"))));
    take(&source, 10);
    assert!(source.stop());
    let source = start(&settings(srt(uri, Some("wrong donkey capacitor"))));
    let error = format!("{:?}", failure(&source));
    println!("{error}");
    assert!(!error.contains("wrong donkey") && !error.contains("correct horse"), "{error}");
    assert!(source.stop());
}

#[test]
fn nobody_at_the_other_end_of_srt_is_a_fault_and_nobody_who_calls_is_none() {
    let port = free_udp_port();
    let source = start(&settings(srt(format!("srt://127.0.0.1:{port}?mode=caller"), None)));
    let error = failure(&source).to_string();
    assert!(error.starts_with(&format!("srt://127.0.0.1:{port}")), "{error}");
    println!("{error}");
    assert!(source.stop());
    let source = start(&settings(srt(format!("srt://127.0.0.1:{port}?mode=listener"), None)));
    assert!(source.events().recv_timeout(Duration::from_secs(2)).is_err());
    assert!(source.stop());
}

fn udp(listen: &str) -> Input {
    Input::Udp(UdpInput { listen: listen.parse().unwrap() })
}

#[test]
fn udp_comes_to_one() {
    let port = free_udp_port();
    let source = start(&settings(udp(&format!("127.0.0.1:{port}"))));
    let sender = Sender::start(&format!("udpsink host=127.0.0.1 port={port}"), None);
    let first = next(&source);
    has_bars(&first);
    take(&source, 10);
    drop(sender);
    // Datagrams that do not come are no fault that the source could see.
    while source.frames().recv_timeout(Duration::from_secs(1)).is_ok() {}
    assert!(source.events().try_recv().is_err());
    let _sender = Sender::start(&format!("udpsink host=127.0.0.1 port={port}"), None);
    take(&source, 10);
    assert!(source.stop());
}

#[test]
fn udp_comes_to_a_group_that_is_joined() {
    let port = free_udp_port();
    let group = format!("239.255.77.{}", port % 250 + 1);
    // Whether this machine sends to groups at all.
    let own = UdpSocket::bind(SocketAddr::from(([0, 0, 0, 0], port))).unwrap();
    own.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let sent =
        own.join_multicast_v4(&group.parse().unwrap(), &[0, 0, 0, 0].into()).and_then(|()| own.send_to(b"x", (group.as_str(), port)));
    if sent.is_err() || own.recv(&mut [0; 8]).is_err() {
        println!("skipped: this machine passes on no multicast");
        return;
    }
    drop(own);
    let source = start(&settings(udp(&format!("{group}:{port}"))));
    let _sender = Sender::start(&format!("udpsink host={group} port={port} auto-multicast=true"), None);
    take(&source, 10);
    assert!(source.stop());
}

#[test]
fn an_address_that_is_not_ours_is_refused() {
    // 192.0.2.0/24 is nobody's (RFC 5737).
    let source = start(&settings(udp("192.0.2.1:5000")));
    let error = failure(&source).to_string();
    assert!(error.starts_with("udp://192.0.2.1:5000: "), "{error}");
    println!("{error}");
    // Taken by somebody else over TCP: another matter, and no hindrance.
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let source = start(&settings(udp(&tcp.local_addr().unwrap().to_string())));
    assert!(source.events().recv_timeout(Duration::from_secs(1)).is_err());
    assert!(source.stop());
}
