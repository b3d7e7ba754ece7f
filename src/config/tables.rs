//! Every key of gradcast.toml.

use std::time::Duration;

use super::keys::Usual::{Needed, Otherwise, Value};
use super::keys::{Form, Key, Table};
use crate::overlay::{ColourMap, Layout};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Encoders for live streams, in the order in which they are tried.
pub const ENCODERS: [&str; 5] = ["nvh264enc", "vah264enc", "v4l2h264enc", "x264enc", "openh264enc"];

/// Patterns of GStreamer's videotestsrc that are worth looking at.
const PATTERNS: [&str; 12] =
    ["ball", "smpte", "snow", "black", "white", "checkers-8", "circular", "blink", "zone-plate", "pinwheel", "spokes", "gradient"];

/// `[engine]`
pub const ENGINE: Table = Table {
    name: "[engine]",
    about: "The network and how it computes; one for all streams. What changes here holds from the next start on.",
    keys: &[
        Key::new(
            "model",
            Form::Text,
            Value("\"efficientnet_lite0\""),
            "The network: a name that `gradcast check` lists, a manifest FILE.toml, or FILE.onnx with its manifest beside it.",
        ),
        Key::new(
            "device",
            Form::Text,
            Value("\"auto\""),
            "Where it computes: `auto`, `cpu`, or CUDA devices as `cuda:0` or `cuda:0,cuda:1`.",
        ),
        Key::new(
            "precision",
            Form::Words(|| vec!["auto", "f32", "bf16", "f16", "f64"]),
            Value("\"auto\""),
            "Type of the numbers; `auto` is the fastest that the device does well.",
        ),
        Key::new(
            "workers",
            Form::Whole(1, 1024),
            Otherwise("one a thread, or one a CUDA device"),
            "Parts of a batch computed side by side; on CUDA devices, of each.",
        ),
        Key::new("threads", Form::Whole(1, 1024), Otherwise("one a processor core"), "Threads to compute with, in all."),
        Key::new(
            "max_batch",
            Form::Whole(1, 1024),
            Otherwise("4 on a processor, 32 on CUDA devices"),
            "Frames of all streams computed together, at most. On a processor more costs memory and waiting, and gains little.",
        )
        .counts("frames"),
        Key::new(
            "max_wait",
            Form::Span(ms(0), ms(10 * SECOND)),
            Value("\"20ms\""),
            "How long the oldest frame of a batch waits for others.",
        ),
        Key::new(
            "max_residual",
            Form::Number(0.0, f64::INFINITY),
            Otherwise("1e-9 in f64, 1e-3 in f32, 2 in f16, 16 in bf16"),
            "Largest completeness residual that is no numeric fault.",
        ),
        Key::new(
            "methods",
            Form::Texts,
            Otherwise("all but `grad-cam`"),
            "The methods that streams may have; those that are not here cost nothing.",
        ),
    ],
};

/// `[http]`
pub const HTTP: Table = Table {
    name: "[http]",
    about: "The page, the metrics and the API. What changes here holds from the next start on.",
    keys: &[
        Key::new("listen", Form::Address, Value("\"127.0.0.1:9464\""), "Where requests come in; port 0 takes a free one."),
        Key::new(
            "token_file",
            Form::SecretFile,
            Otherwise("no token"),
            "With a token, all but health needs it, as `Authorization: Bearer TOKEN`.",
        ),
    ],
};

/// `[rtsp]`
pub const RTSP: Table = Table {
    name: "[rtsp]",
    about: "Our own RTSP server; it runs where this table is there or a stream has a sink of kind `rtsp`. What changes here holds from the next start on.",
    keys: &[
        Key::new("listen", Form::Address, Value("\"127.0.0.1:8554\""), "Where viewers come in; port 0 takes a free one."),
        Key::new("user", Form::Text, Otherwise("everybody may look"), "The name that viewers have to give, together with the password."),
        Key::new("password_file", Form::SecretFile, Otherwise("everybody may look"), "Its password."),
    ],
};

/// `[pipelines]`
pub const PIPELINES: Table = Table {
    name: "[pipelines]",
    about: "Changed pipelines. What changes here holds from the next start on.",
    keys: &[Key::new(
        "folder",
        Form::Path,
        Value("\"/etc/gradcast/pipelines\""),
        "A pipeline file in this folder goes before the one of its name that is built in; it need not be there.",
    )],
};

/// `[log]`
pub const LOG: Table = Table {
    name: "[log]",
    about: "What is logged. What changes here holds from the next start on.",
    keys: &[Key::new(
        "level",
        Form::Words(|| vec!["error", "warn", "info", "debug", "trace"]),
        Value("\"info\""),
        "The least important lines that are still written.",
    )],
};

/// `[[stream]]`
pub const STREAM: Table = Table {
    name: "[[stream]]",
    about: "One stream; there may be many, and none. Every key may be changed by a reload or over HTTP.",
    keys: &[
        Key::new("name", Form::Name, Needed, "What it is called everywhere; unlike all others."),
        Key::new("source", Form::Source, Needed, "Where frames come from."),
        Key::new(
            "mode",
            Form::Words(|| vec!["live", "file"]),
            Value("\"live\""),
            "`live` never waits and drops the oldest frame instead; with `file` nothing is dropped, all waits, and the stream ends with its source.",
        ),
        Key::new("every", Form::Whole(1, 100_000), Value("1"), "Of so many frames one is explained.").counts("frames"),
        Key::new("max_fps", Form::Number(0.001, 1000.0), Otherwise("no limit"), "Explained frames at most.").counts("frames a second"),
        Key::new(
            "deadline",
            Form::Span(ms(0), ms(MINUTE)),
            Value("\"100ms\""),
            "How long a frame waits for its explanation before it is shown with the last one.",
        ),
        Key::new(
            "stall",
            Form::Span(ms(100), ms(HOUR)),
            Value("\"5s\""),
            "A source that gives no frame for so long is taken down and tried again; the first connection is given as long.",
        ),
        Key::new(
            "size",
            Form::Size,
            Otherwise("that of the first frame"),
            "Columns and rows of the output; frames of another size are scaled, with borders.",
        ),
        Key::new(
            "target",
            Form::Text,
            Otherwise("the manifest's, else `argmax`"),
            "What is explained: `argmax`, `hold:SECONDS`, an index, a label, `topk:K`, `cell:LABEL`, `cells:LABEL:THRESHOLD`.",
        ),
        Key::new("method", Form::Text, Otherwise("the first of `[engine].methods`"), "By which method; one of `[engine].methods`."),
        Key::new("opacity", Form::Number(0.0, 1.0), Value("0.6"), "How much of the picture the heatmap covers where saliency is greatest."),
        Key::new("colour_map", Form::Words(|| ColourMap::ALL.map(ColourMap::name).to_vec()), Value("\"turbo\""), "Colours of the heatmap."),
        Key::new(
            "floor",
            Form::Number(0.0, 1.0),
            Value("0.15"),
            "Saliency, as a share of the range shown, below which the picture is left alone.",
        ),
        Key::new(
            "layout",
            Form::Words(|| Layout::ALL.map(Layout::name).to_vec()),
            Value("\"blend\""),
            "The heatmap over the picture, beside the picture, or alone.",
        ),
        Key::new("caption", Form::Flag, Value("false"), "Writes class, probability and residual on a strip at the bottom."),
        Key::new(
            "smooth",
            Form::Span(ms(0), ms(DAY)),
            Value("\"500ms\""),
            "Over what time the heatmap's range is averaged, so that it does not flicker.",
        ),
        Key::new("fade", Form::Span(ms(0), ms(HOUR)), Value("\"2s\""), "A map that is not renewed has faded away after so long."),
        Key::new(
            "encoder",
            Form::Words(|| ENCODERS.to_vec()),
            Otherwise("the first of these that works here"),
            "GStreamer's element that encodes the video.",
        ),
        Key::new("bitrate_kbps", Form::Whole(16, 200_000), Value("2000"), "Of the encoded video.").counts("kbit/s"),
        Key::new(
            "key_interval",
            Form::Span(ms(100), ms(MINUTE)),
            Value("\"2s\""),
            "A key frame comes at least so often; viewers and segments begin at one.",
        ),
        Key::new("sink", Form::Sinks, Otherwise("none: only the page shows it"), "Who gets the video; one encode serves all."),
    ],
};

const USER: Key = Key::new("user", Form::Text, Otherwise("no credentials"), "The name to give, together with the password.");
const PASSWORD: Key = Key::new("password_file", Form::SecretFile, Otherwise("no credentials"), "Its password.");
const TEXT_RULE: &str = "The text, as `gst-launch-1.0` takes it; without credentials.";

/// Kinds of sources.
pub const SOURCES: &[Table] = &[
    Table {
        name: "rtsp",
        about: "A camera or server that speaks RTSP. As a text: its URL.",
        keys: &[
            Key::new("url", Form::Url(&["rtsp", "rtsps"]), Needed, "Where it is; without credentials."),
            Key::new(
                "transport",
                Form::Words(|| vec!["tcp", "udp", "auto"]),
                Value("\"tcp\""),
                "How RTP comes; `auto` is UDP, and TCP where none comes.",
            ),
            USER,
            PASSWORD,
            Key::new("latency", Form::Span(ms(0), ms(10 * SECOND)), Value("\"200ms\""), "The jitter buffer."),
        ],
    },
    Table {
        name: "v4l2",
        about: "A camera at this machine. As a text: its device, as `/dev/video0`.",
        keys: &[
            Key::new("device", Form::Path, Needed, "The device's file."),
            Key::new("size", Form::Size, Otherwise("the camera's choice"), "Columns and rows to ask for."),
            Key::new("fps", Form::Whole(1, 1000), Otherwise("the camera's choice"), "To ask for.").counts("frames a second"),
        ],
    },
    Table {
        name: "file",
        about: "A recorded file. As a text: its path, or `file://` and its path.",
        keys: &[
            Key::new("path", Form::Path, Needed, "The file."),
            Key::new("repeat", Form::Flag, Value("false"), "From the beginning again at its end."),
            Key::new(
                "real_time",
                Form::Flag,
                Otherwise("true with mode `live`, false with mode `file`"),
                "Frames come when their times say, not as fast as they are taken.",
            ),
        ],
    },
    Table {
        name: "uri",
        about: "HTTP, HLS, RTMP and whatever else GStreamer reads by its URI. As a text: the URI.",
        keys: &[Key::new("uri", Form::Url(&[]), Needed, "Where it is; without credentials."), USER, PASSWORD],
    },
    Table {
        name: "srt",
        about: "MPEG-TS over SRT. As a text: its URI.",
        keys: &[
            Key::new(
                "uri",
                Form::Url(&["srt"]),
                Needed,
                "`srt://HOST:PORT`, with libsrt's options behind `?`, as `?mode=listener`; without the passphrase.",
            ),
            Key::new("passphrase_file", Form::SecretFile, Otherwise("not encrypted"), "The passphrase of an encrypted stream."),
            Key::new("latency", Form::Span(ms(0), ms(10 * SECOND)), Value("\"120ms\""), "SRT's buffer."),
        ],
    },
    Table {
        name: "udp",
        about: "MPEG-TS over UDP, to one or to many. As a text: `udp://ADDRESS:PORT`.",
        keys: &[Key::new("listen", Form::Address, Needed, "Where datagrams come in; the address may be a multicast group's.")],
    },
    Table {
        name: "test",
        about: "A test pattern.",
        keys: &[
            Key::new("pattern", Form::Words(|| PATTERNS.to_vec()), Value("\"ball\""), "As GStreamer's videotestsrc names it."),
            Key::new("size", Form::Size, Value("\"640x360\""), "Columns and rows."),
            Key::new("fps", Form::Whole(1, 240), Value("15"), "How fast it moves.").counts("frames a second"),
        ],
    },
    Table {
        name: "gstreamer",
        about: "A GStreamer text of your own that ends in decoded or encoded video.",
        keys: &[Key::new("text", Form::Text, Needed, TEXT_RULE)],
    },
];

const SINK_NAME: Key = Key::new(
    "name",
    Form::Name,
    Otherwise("the kind, with a number where there are several"),
    "What states and logs call it; unlike the stream's others.",
);
const FOLDER: Key = Key::new("folder", Form::Path, Needed, "Where the files are written; it is made where it is not there.");
const KEEP_BYTES: Key =
    Key::new("keep_bytes", Form::Bytes, Otherwise("no limit"), "The oldest files are removed while there are more bytes than this.");

/// Kinds of sinks.
pub const SINKS: &[Table] = &[
    Table {
        name: "rtsp",
        about: "Our own RTSP server, at rtsp://HOST:PORT/PATH, for many viewers. As a text: `rtsp`.",
        keys: &[SINK_NAME, Key::new("path", Form::Name, Otherwise("the stream's name"), "Behind the server's address; unlike all others.")],
    },
    Table {
        name: "push",
        about: "Somebody else's server. As a text: its URL.",
        keys: &[
            SINK_NAME,
            Key::new("url", Form::Url(&["rtsp", "rtsps", "rtmp", "rtmps", "srt"]), Needed, "Where it is; without credentials."),
            USER,
            Key::new("password_file", Form::SecretFile, Otherwise("no credentials"), "Its password, or SRT's passphrase."),
        ],
    },
    Table {
        name: "segments",
        about: "MP4 files of so long each, playable up to the last second whatever happens. As a text: the folder with `/` at its end.",
        keys: &[
            SINK_NAME,
            FOLDER,
            Key::new("every", Form::Span(ms(SECOND), ms(DAY)), Value("\"1m\""), "A file is closed at the first key frame after so long."),
            Key::new("keep_for", Form::Span(ms(MINUTE), ms(3660 * DAY)), Otherwise("for ever"), "Older files are removed."),
            KEEP_BYTES,
        ],
    },
    Table {
        name: "hls",
        about: "A playlist and its segments, for any web server.",
        keys: &[
            SINK_NAME,
            FOLDER,
            Key::new("every", Form::Span(ms(SECOND), ms(MINUTE)), Value("\"4s\""), "A segment ends at the first key frame after so long."),
            Key::new("keep_for", Form::Span(ms(10 * SECOND), ms(DAY)), Value("\"1m\""), "Older segments are removed."),
            KEEP_BYTES,
        ],
    },
    Table {
        name: "v4l2",
        about: "A loopback device of V4L2, raw, which other programs see as a camera. As a text: the device, as `/dev/video10`.",
        keys: &[SINK_NAME, Key::new("device", Form::Path, Needed, "The device's file.")],
    },
    Table {
        name: "file",
        about: "One MP4 file, written until the stream ends. As a text: its path, which ends in `.mp4`.",
        keys: &[SINK_NAME, Key::new("path", Form::Path, Needed, "The file; one that is there already is refused.")],
    },
    Table {
        name: "gstreamer",
        about: "A GStreamer text of your own that takes H.264 at its open end.",
        keys: &[SINK_NAME, Key::new("text", Form::Text, Needed, TEXT_RULE)],
    },
];

/// Every table outside of streams, by the name of its key.
pub const TOP: [(&str, &Table); 5] = [("engine", &ENGINE), ("http", &HTTP), ("rtsp", &RTSP), ("pipelines", &PIPELINES), ("log", &LOG)];
