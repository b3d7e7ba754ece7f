//! Documents: what is written of a stream is read again as the same.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use gradcast::config::Opened;
use gradcast::overlay::{self, ColourMap, Layout};
use gradcast::saliency::Method;
use gradcast::secret::Secret;
use gradcast::stream::live::Settings;
use gradcast::video::live::{
    DeviceInput, FileInput, Input, Push, RtspInput, Segments, SinkKind, SinkSettings, SrtInput, TestInput, Transport, UdpInput, UriInput,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Place, SECRET};

/// A service with a token, where documents may name files of secrets.
fn opened() -> &'static (Place, Opened) {
    static OPENED: OnceLock<(Place, Opened)> = OnceLock::new();
    OPENED.get_or_init(|| {
        let place = Place::new();
        let opened = place.open("http.token_file = 'secret'\n[rtsp]\n").unwrap();
        (place, opened)
    })
}

fn secret() -> Secret {
    Secret::of_file(SECRET, opened().0.path("secret").display().to_string())
}

/// A user and a password, or neither.
fn credentials() -> impl Strategy<Value = (Option<String>, Option<Secret>)> {
    option::of("[a-z]{1,8}").prop_map(|user| (user.clone(), user.map(|_| secret())))
}

/// Whole microseconds in a range of milliseconds.
fn span(least_ms: u64, most_ms: u64) -> impl Strategy<Value = Duration> {
    (least_ms * 1000..=most_ms * 1000).prop_map(Duration::from_micros)
}

fn path() -> impl Strategy<Value = PathBuf> {
    "/[a-z0-9 äß:=\"'#-]{1,20}/[a-z]{1,8}".prop_map(PathBuf::from)
}

fn size() -> impl Strategy<Value = (u32, u32)> {
    (16u32..=8192, 16u32..=8192)
}

fn input() -> impl Strategy<Value = Input> {
    let transport = prop_oneof![Just(Transport::Tcp), Just(Transport::Udp), Just(Transport::Auto)];
    let rtsp = ("rtsps?://[a-z]{1,8}(:[1-9][0-9]{2})?/[a-zA-Z0-9=&?]{0,12}", transport, credentials(), span(0, 10_000))
        .prop_map(|(url, transport, (user, password), latency)| Input::Rtsp(RtspInput { url, transport, user, password, latency }));
    let device = (path(), option::of(size()), option::of(1u32..=1000))
        .prop_map(|(path, size_px, fps)| Input::Device(DeviceInput { path, size_px, fps }));
    let file =
        (path(), any::<bool>(), any::<bool>()).prop_map(|(path, repeat, real_time)| Input::File(FileInput { path, repeat, real_time }));
    let uri = ("(http|rtmp)://[a-z]{1,8}/[a-z.]{0,12}", credentials())
        .prop_map(|(uri, (user, password))| Input::Uri(UriInput { uri, user, password }));
    let srt = ("srt://[a-z]{1,8}:[1-9][0-9]{3}", any::<bool>(), span(0, 10_000))
        .prop_map(|(uri, secured, latency)| Input::Srt(SrtInput { uri, passphrase: secured.then(secret), latency }));
    let udp = (any::<[u8; 4]>(), any::<u16>()).prop_map(|address| Input::Udp(UdpInput { listen: address.into() }));
    let test = (prop_oneof!["ball", "snow"], size(), 1u32..=240)
        .prop_map(|(pattern, size_px, fps)| Input::Test(TestInput { pattern, size_px, fps }));
    let text = "videotestsrc pattern=[a-z]{1,5} ! [a-z/,\"=-]{1,10}".prop_map(Input::Text);
    prop_oneof![rtsp, device, file, uri, srt, udp, test, text]
}

fn segments(most_ms: u64) -> impl Strategy<Value = Segments> {
    (path(), span(1000, most_ms), span(most_ms, 86_400_000), option::of(any::<u64>()))
        .prop_map(|(folder, every, keep_for, keep_bytes)| Segments { folder, every, keep_for: Some(keep_for), keep_bytes })
}

fn sink() -> impl Strategy<Value = SinkKind> {
    let push = ("(rtsp|rtmp)://[a-z]{1,8}/[a-z]{0,8}", credentials())
        .prop_map(|(url, (user, password))| SinkKind::Push(Push { url, user, password }));
    prop_oneof![
        "[a-zA-Z0-9_-]{1,64}".prop_map(|path| SinkKind::Rtsp { path }),
        push,
        segments(60_000).prop_map(SinkKind::Segments),
        segments(60_000).prop_map(SinkKind::Hls),
        path().prop_map(SinkKind::Device),
        path().prop_map(|path| SinkKind::File(path.with_extension("mp4"))),
        "h264parse ! [a-z]{1,8}".prop_map(SinkKind::Text),
    ]
}

/// Settings with every field of their own but what the network decides, of this stream.
fn settings() -> impl Strategy<Value = Settings> {
    let look = (
        (1usize..=100_000, option::of(0.001f64..=1000.0), prop_oneof!["argmax", "hold:1\\.25", "green", "2", "topk:2"]),
        prop_oneof![Just(Method::Fullgrad), Just(Method::Smoothgrad), Just(Method::Gradient)],
        (
            0.0f32..=1.0,
            0.0f32..=1.0,
            proptest::sample::select(&ColourMap::ALL[..]),
            proptest::sample::select(&Layout::ALL[..]),
            any::<bool>(),
        ),
        (span(0, 86_400_000), span(0, 3_600_000)),
    );
    let times = (span(0, 60_000), span(100, 3_600_000), span(100, 60_000));
    let output = (option::of("x264enc|openh264enc"), 16u32..=200_000, vec(sink(), 0..5));
    ("[a-zA-Z0-9_-]{1,64}", input(), any::<bool>(), option::of(size()), look, times, output).prop_map(
        |(name, input, lossless, size_px, look, (deadline, stall, key_interval), (encoder, bitrate_kbps, sinks))| {
            let ((every, max_fps, target), method, (opacity, floor, colour_map, layout, caption), (smooth, fade)) = look;
            let waits = matches!(input, Input::File(_) | Input::Uri(_) | Input::Test(_) | Input::Text(_));
            let document = json!({ "name": name, "source": { "kind": "test" }, "target": target });
            let mut settings = opened().1.configuration.stream(&document).unwrap();
            settings.lossless = lossless && waits;
            settings.source.lossless = settings.lossless;
            settings.output.lossless = settings.lossless;
            settings.source.input = input;
            settings.size_px = size_px.map(|(width, height)| (width as usize, height as usize));
            (settings.deadline, settings.stall) = (deadline, stall);
            settings.output.encoder = encoder;
            settings.output.bitrate_kbps = bitrate_kbps;
            settings.output.key_interval = key_interval;
            settings.output.sinks =
                sinks.into_iter().enumerate().map(|(number, kind)| SinkSettings { name: format!("sink-{number}"), kind }).collect();
            let look = &mut settings.look;
            (look.every, look.max_fps, look.method, look.smooth, look.fade) = (every, max_fps, method, smooth, fade);
            look.overlay = overlay::Settings { colour_map, opacity, floor, layout, caption };
            settings
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_written_of_a_stream_is_read_again_as_the_same(settings in settings()) {
        let configuration = &opened().1.configuration;
        let document = configuration.document(&settings);
        prop_assert!(!document.to_string().contains(SECRET));
        match configuration.stream(&document) {
            Ok(again) => {
                // Preprocessing and previews have no keys; passwords compare though they are not shown.
                prop_assert_eq!(format!("{:?}", &again), format!("{:?}", &settings));
                prop_assert_eq!(&again.source.input, &settings.source.input);
                prop_assert_eq!(&again.output.sinks, &settings.output.sinks);
                prop_assert_eq!(configuration.document(&again), document);
            }
            // Two sinks that chance gave one place.
            Err(faults) => prop_assert!(faults.0.iter().all(|fault| fault.contains("has it already")), "{}", faults),
        }
    }
}

/// Any JSON, of few and small parts, with the keys of sources and sinks among its own.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ -~]{0,12}".prop_map(Value::from),
        prop_oneof!["rtsp", "file", "test", "segments", "push", "20ms", "x\\.mp4", "640x360"].prop_map(Value::from),
    ];
    let keys = "kind|url|path|folder|every|latency|size|fps|user|password_file|name|listen|text";
    leaf.prop_recursive(3, 16, 4, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(keys, inner, 0..5).prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_document_is_taken_or_refused_in_sentences(key in 0usize..21, value in anything(), all in anything()) {
        let configuration = &opened().1.configuration;
        let stream = configuration.stream(&json!({ "name": "a", "source": "x.mp4" })).unwrap();
        let key = configuration.document(&stream).as_object().unwrap().keys().nth(key).unwrap().clone();
        for refused in [configuration.change(&stream, &json!({ key: value })).err(), configuration.stream(&all).err()].into_iter().flatten() {
            prop_assert!(!refused.0.is_empty() && refused.0.iter().all(|fault| !fault.contains(SECRET) && !fault.is_empty()), "{}", refused);
        }
    }
}

#[test]
fn a_document_has_every_key_of_the_reference() {
    let configuration = &opened().1.configuration;
    let stream = configuration.stream(&json!({ "name": "a", "source": "x.mp4" })).unwrap();
    let document = configuration.document(&stream);
    let rows = gradcast::config::reference::markdown();
    let section = rows.split("## `[[stream]]`").nth(1).unwrap().split("\n## ").next().unwrap();
    let keys: Vec<&str> = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert_eq!(keys.len(), document.as_object().unwrap().len(), "{document}");
    for key in keys {
        assert!(document.get(key).is_some(), "{key}");
    }
}
