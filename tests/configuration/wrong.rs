//! Wrong files, and what is said of them, word for word.

use super::{Place, SECRET};

/// A stream with some lines more.
fn stream(lines: &str) -> String {
    format!("[[stream]]\nname = 'front'\nsource = 'clip.mp4'\n{lines}")
}

#[test]
fn each_fault_is_told_with_line_and_key() {
    let place = Place::new();
    let cases: &[(&str, &str)] = &[
        // The file's form.
        ("[http\n", "g.toml:2: unclosed table, expected `]`"),
        ("http.listen = 127.0.0.1\n", "g.toml:2: "),
        // Unknown keys.
        ("[engin]\n", "g.toml:2: engin: there is no such key; perhaps engine"),
        ("[engine2]\nmodel = 'x'", "g.toml:2: engine2: there is no such key; perhaps engine"),
        ("[zeppelin]", "g.toml:2: zeppelin: there is no such key; there are engine, http, rtsp, pipelines, log, stream"),
        ("http.lisen = '127.0.0.1:1'", "g.toml:2: http.lisen: there is no such key; perhaps listen"),
        ("[rtsp]\npassword = 'hunter2'\n", "g.toml:3: rtsp.password: there is no such key; there are listen, user, password_file"),
        // Types, ranges, words, units.
        ("engine.max_batch = 'many'", "g.toml:2: engine.max_batch: is a text; give a whole number from 1 to 1024"),
        ("engine.max_batch = 0", "g.toml:2: engine.max_batch: is 0; give a whole number from 1 to 1024"),
        ("engine.max_wait = 20", "g.toml:2: engine.max_wait: is a number without a unit; give a text with one, as \"20ms\""),
        (
            "engine.max_wait = '20'",
            "g.toml:2: engine.max_wait: \"20\" is no time; give a number and its unit, one of ms, s, m, h, d, as \"20ms\" or \"1.5s\"",
        ),
        ("engine.max_wait = '1m'", "g.toml:2: engine.max_wait: is 1m; give a time from 0s to 10s"),
        ("engine.precision = 'f23'", "g.toml:2: engine.precision: \"f23\" is none of auto, f32, bf16, f16, f64; perhaps \"f32\""),
        ("engine.device = 'gpu'", "g.toml:2: engine.device: \"gpu\": give auto, cpu, cuda:0, or several as cuda:0,cuda:1"),
        ("engine.max_residual = -1", "g.toml:2: engine.max_residual: is -1; give a number, 0 or more"),
        ("engine.methods = 'fullgrad'", "g.toml:2: engine.methods: is a text; give a list of texts"),
        ("engine.methods = []", "g.toml:2: engine.methods: has no method in it; give at least fullgrad, or leave the key out"),
        (
            "engine.methods = [\n'fullgrad',\n'fullgard']",
            "g.toml:4: engine.methods[2]: \"fullgard\" is none of fullgrad, simple-fullgrad, smooth-fullgrad, input-x-gradient, gradient, smoothgrad, integrated-gradients, grad-cam; perhaps \"fullgrad\"",
        ),
        ("engine.methods = ['gradient', 'gradient']", "g.toml:2: engine.methods[2]: gradient is there twice; leave one out"),
        ("engine = 3", "g.toml:2: duplicate key"),
        ("http = 3", "g.toml:2: http: is a whole number; write it as a table of keys"),
        (
            "http.listen = 'localhost'",
            "g.toml:2: http.listen: \"localhost\" is no address with a port; give one as \"127.0.0.1:9464\", or \"0.0.0.0:9464\" for all addresses",
        ),
        ("log.level = 'loud'", "g.toml:2: log.level: \"loud\" is none of error, warn, info, debug, trace"),
        ("pipelines.folder = 'none'", "g.toml:2: pipelines.folder: none is no folder; make it, or leave the key out"),
        // Secrets.
        (
            "http.token_file = 'none'",
            "g.toml:2: http.token_file: none is not there; write the secret into this file, readable by gradcast's user alone",
        ),
        (
            "http.token_file = '${HOME}/x'",
            "g.toml:2: http.token_file: only ${CREDENTIALS_DIRECTORY} is replaced in it; give the rest of the path itself",
        ),
        ("rtsp.user = 'u'", "g.toml:2: rtsp.user: has no password_file beside it; give both or none"),
        // Two of what there can be one of.
        (
            "http.listen = '127.0.0.1:8554'\nrtsp.listen = '0.0.0.0:8554'",
            "g.toml:3: rtsp.listen: port 8554 is that of [http] and of [rtsp]; give another",
        ),
        // Streams.
        ("[stream]\nname = 'a'", "g.toml:2: stream: is no list of streams; write [[stream]] with two brackets for each"),
        ("[[stream]]\nname = 'front'", "g.toml:2: stream.front: source is missing: where frames come from"),
        ("[[stream]]\nsource = 'clip.mp4'", "g.toml:2: stream[1]: name is missing: what it is called everywhere; unlike all others"),
        (
            "[[stream]]\nname = 'a b'\nsource = 'x.mp4'",
            "g.toml:3: stream.a b.name: \"a b\" is no name; take letters, digits, - and _, at most 64",
        ),
        ("[[stream]]\nname = 7\nsource = 'x.mp4'", "g.toml:3: stream[1].name: is a whole number; give a text in quotes"),
    ];
    for (text, wanted) in cases {
        let (code, lines) = place.faults(text);
        assert_eq!((code, lines.len()), (78, 1), "{text}: {lines:?}");
        assert!(
            lines[0] == *wanted || wanted.ends_with(": ") && lines[0].starts_with(wanted),
            "{text}\nsays   {}\nwanted {wanted}",
            lines[0]
        );
    }
}

#[test]
fn each_fault_of_a_stream_is_told_with_line_and_key() {
    let place = Place::new();
    let cases: &[(&str, &str)] = &[
        ("dedline = '1s'", "g.toml:5: stream.front.dedline: there is no such key; perhaps deadline"),
        ("opacity = 40", "g.toml:5: stream.front.opacity: is 40; give a number from 0 to 1"),
        ("opacity = nan", "g.toml:5: stream.front.opacity: is NaN; give a number from 0 to 1"),
        ("every = 1.5", "g.toml:5: stream.front.every: is 1.5; give a whole number from 1 to 100000"),
        ("caption = 'yes'", "g.toml:5: stream.front.caption: is a text; write true or false"),
        ("size = '720p'", "g.toml:5: stream.front.size: \"720p\" is no size; give pixels as \"1280x720\", each side from 16 to 8192"),
        (
            "colour_map = 'turob'",
            "g.toml:5: stream.front.colour_map: \"turob\" is none of turbo, inferno, viridis, magma, jet, grey; perhaps \"turbo\"",
        ),
        (
            "encoder = 'x265enc'",
            "g.toml:5: stream.front.encoder: \"x265enc\" is none of nvh264enc, vah264enc, v4l2h264enc, x264enc, openh264enc; perhaps \"x264enc\"",
        ),
        ("target = 'grene'", "g.toml:5: stream.front.target: \"grene\": is not one label; perhaps 1 \"green\""),
        ("target = '3'", "g.toml:5: stream.front.target: 3: the network has 3 classes, counted from 0"),
        ("target = 'topk:4'", "g.toml:5: stream.front.target: topk:4: the network has 3 classes"),
        (
            "target = 'cell:red'",
            "g.toml:5: stream.front.target: cell:LABEL: the network's output has no cells; give argmax, an index, a label, or topk:K",
        ),
        ("target = 'hold:x'", "g.toml:5: stream.front.target: give seconds, as 1.5, at most a day"),
        (
            "method = 'grad-cam'",
            "g.toml:5: stream.front.method: grad-cam is none of [engine].methods, fullgrad, simple-fullgrad, smooth-fullgrad, input-x-gradient, gradient, smoothgrad, integrated-gradients; put it there, which takes a new start",
        ),
        ("sink = 'rtsp'", "g.toml:5: stream.front.sink: is a text; give a list, or a table [[stream.sink]] for each"),
        (
            "sink = ['out']",
            "g.toml:5: stream.front.sink[1]: is no sink; give \"rtsp\", a URL, FILE.mp4, FOLDER/, /dev/videoN, or a table with a kind",
        ),
        (
            "[[stream.sink]]\nfolder = 'x'",
            "g.toml:5: stream.front.sink[1]: kind is missing: one of rtsp, push, segments, hls, v4l2, file, gstreamer",
        ),
        (
            "[[stream.sink]]\nkind = 'segment'\nfolder = 'x'",
            "g.toml:6: stream.front.sink[1].kind: \"segment\" is none of rtsp, push, segments, hls, v4l2, file, gstreamer; perhaps \"segments\"",
        ),
        (
            "[[stream.sink]]\nkind = 'segments'\nfolder = 'x'\nkeep = '7d'",
            "g.toml:8: stream.front.sink[1].keep: there is no such key; there are kind, name, folder, every, keep_for, keep_bytes",
        ),
        (
            "[[stream.sink]]\nkind = 'segments'\nfolder = 'x'\nkeep_bytes = 500",
            "g.toml:8: stream.front.sink[1].keep_bytes: is a number without a unit; give a text with one, as \"500MB\"",
        ),
        (
            "[[stream.sink]]\nkind = 'segments'\nfolder = 'x'\nevery = '1h'\nkeep_for = '10m'",
            "g.toml:9: stream.front.sink[1].keep_for: is shorter than every, 1h: no file would be kept",
        ),
        (
            "sink = ['x/', { kind = 'hls', folder = './x' }]",
            "g.toml:5: stream.front.sink[2].folder: each sink needs a folder of its own, and stream.front.sink[1].folder has it already; give another",
        ),
        (
            "sink = ['a.mp4', './a.mp4']",
            "g.toml:5: stream.front.sink[2].path: only one can write there, and stream.front.sink[1].path has it already; give another",
        ),
        (
            "sink = [{ kind = 'rtsp', name = 'a' }, { kind = 'rtsp', name = 'a', path = 'b' }]",
            "g.toml:5: stream.front.sink[2].name: \"a\" is another sink's of this stream; take another name",
        ),
        (
            "sink = ['rtsp://u:hunter2@server/x']",
            "g.toml:5: stream.front.sink[1].url: has credentials in it: process lists and logs would show it; give user and password_file instead",
        ),
        (
            "sink = [{ kind = 'push', url = 'srt://s:1', user = 'u' }]",
            "g.toml:5: stream.front.sink[1].user: is not known to SRT; give password_file alone, with the passphrase",
        ),
    ];
    for (lines, wanted) in cases {
        assert_eq!(place.faults(&stream(lines)), (78, vec![(*wanted).to_owned()]), "{lines}");
    }
}

#[test]
fn a_file_that_is_read_is_not_written() {
    let place = Place::new();
    let text = stream(&format!("sink = ['{}']", place.path("clip.mp4").display()));
    let wanted = "g.toml:5: stream.front.sink[1].path: only one can write there, and stream.front.source.path has it already; give another";
    assert_eq!(place.faults(&text), (78, vec![wanted.to_owned()]));
}

#[test]
fn each_fault_of_a_source_is_told_with_line_and_key() {
    let place = Place::new();
    let credentials = "has credentials in it: process lists and logs would show it; give user and password_file instead";
    let cases: &[(&str, &str)] = &[
        ("''", ": is empty; give a URI, a path, or a table with a kind"),
        ("7", ": is a whole number; give a URI, a path, or a table with a kind"),
        ("{ url = 'rtsp://x' }", ": kind is missing: one of rtsp, v4l2, file, uri, srt, udp, test, gstreamer"),
        (
            "{ kind = 'rtps', url = 'rtsp://x' }",
            ".kind: \"rtps\" is none of rtsp, v4l2, file, uri, srt, udp, test, gstreamer; perhaps \"rtsp\"",
        ),
        ("{ kind = 'rtsp' }", ": url is missing: where it is; without credentials"),
        ("{ kind = 'rtsp', url = 'http://x' }", ".url: begins with http://; rtsp://, rtsps:// can be here"),
        ("{ kind = 'rtsp', url = 'rtsp://x', transpot = 'udp' }", ".transpot: there is no such key; perhaps transport"),
        ("{ kind = 'rtsp', url = 'rtsp://x', user = 'u' }", ".user: has no password_file beside it; give both or none"),
        ("{ kind = 'rtsp', url = 'rtsp://x', latency = '1m' }", ".latency: is 1m; give a time from 0s to 10s"),
        ("{ kind = 'v4l2', device = '/dev/video0', fps = 0 }", ".fps: is 0; give a whole number from 1 to 1000"),
        (
            "{ kind = 'test', pattern = 'bal' }",
            ".pattern: \"bal\" is none of ball, smpte, snow, black, white, checkers-8, circular, blink, zone-plate, pinwheel, spokes, gradient; perhaps \"ball\"",
        ),
        (
            "'udp://5000'",
            ".listen: \"5000\" is no address with a port; give one as \"127.0.0.1:9464\", or \"0.0.0.0:9464\" for all addresses",
        ),
        ("'rtsp://u:hunter2@camera/x'", &format!(".url: {credentials}")),
        ("'https://hunter2@camera/x'", &format!(".uri: {credentials}")),
        (
            "'srt://c:9000?passphrase=hunter2'",
            ".uri: has a password behind its `?`: process lists and logs would show it; give passphrase_file instead",
        ),
        (
            "'admin:hunter2@camera/stream1'",
            ": has no scheme, and credentials in it: process lists and logs would show it; give a table with url, user and password_file",
        ),
        (
            "{ kind = 'gstreamer', text = 'rtspsrc location=rtsp://c user-id=u user-pw=hunter2' }",
            ".text: has credentials in it: process lists and logs would show it; a source or sink of another kind takes them from a file",
        ),
    ];
    for (source, wanted) in cases {
        let text = format!("[[stream]]\nname = 'a'\nsource = {source}");
        assert_eq!(place.faults(&text), (78, vec![format!("g.toml:4: stream.a.source{wanted}")]), "{source}");
    }
    let text = "[[stream]]\nname = 'a'\nmode = 'file'\nsource = '/dev/video0'";
    assert_eq!(place.faults(text).1, ["g.toml:5: stream.a.source: cannot wait, as mode = \"file\" wants; give a file, or mode = \"live\""]);
}

#[test]
fn all_faults_are_told_at_once_in_the_order_of_the_file() {
    let place = Place::new();
    let text = "\
http.listen = 1
[[stream]]
name = 'a'
source = { kind = 'v4l2', device = '/dev/video0' }
sink = ['rtsp', 'out/']
[[stream]]
name = 'a'
source = 'x.mp4'
[[stream]]
name = 'b'
source = '/dev/../dev/video0'
target = 'violet'
sink = [{ kind = 'rtsp', path = 'a' }]
[[stream]]
name = 'c'
source = '/dev/video0'
sink = [{ kind = 'rtsp', path = 'a' }, 'out/./']
";
    let (code, lines) = place.faults(text);
    // The second `a` and `b` are wrong by themselves; what is wrong is not compared with the others.
    let wanted = [
        "g.toml:2: http.listen: is a whole number; give a text in quotes",
        "g.toml:8: stream[2].name: \"a\" is another stream's; take another name",
    ];
    assert_eq!((code, &lines[..]), (78, &wanted.map(str::to_owned)[..]), "without [http] there is no network to ask for violet");
    let (_, lines) = place.faults(&text.replace("http.listen = 1\n", ""));
    let wanted = [
        "g.toml:7: stream[2].name: \"a\" is another stream's; take another name",
        "g.toml:12: stream.b.target: \"violet\": none of the network's 3 labels",
        "g.toml:16: stream.c.source.device: a camera gives its pictures to one stream only, and stream.a.source.device has it already; give another",
        "g.toml:17: stream.c.sink[1].path: a path is one stream's, and stream.a.sink[1].path has it already; give another",
        "g.toml:17: stream.c.sink[2].folder: each sink needs a folder of its own, and stream.a.sink[2].folder has it already; give another",
    ];
    assert_eq!(lines, wanted);
}

#[test]
fn a_network_that_is_not_there_or_not_right() {
    let place = Place::new();
    let model = |model: &str| place.faults(&format!("engine.precision = 'f32'\n{}", stream("opacity = 2"))).1.len() + model.len();
    assert!(model("x") > 0);
    let write = |text: &str| {
        std::fs::write(place.path("h.toml"), text).unwrap();
        let error = gradcast::config::open(&place.path("h.toml")).err().unwrap();
        (error.exit_code(), error.to_string().replace(&format!("{}/", place.path("").display().to_string().trim_end_matches('/')), ""))
    };
    let (code, told) = write("[engine]\nmodel = 'zeppelin'");
    assert!(code == 78 && told.starts_with("h.toml:2: engine.model: no network is called zeppelin"), "{told}");
    std::fs::copy(place.path("net.onnx"), place.path("bare.onnx")).unwrap();
    let (code, told) = write("[engine]\nmodel = 'bare.onnx'");
    assert_eq!(
        (code, told.as_str()),
        (
            78,
            "h.toml:2: engine.model: bare.onnx: no manifest says how pictures are prepared, and nothing is guessed; write one: gradcast inspect --model bare.onnx --write-manifest"
        )
    );
    let damaged = "file = 'net.onnx'\nsha256 = '0000000000000000000000000000000000000000000000000000000000000000'\n[input]\ncolour = 'rgb'\nmean = [0]\nstd = [1]\n";
    std::fs::write(place.path("damaged.toml"), damaged).unwrap();
    let (code, told) = write("[engine]\nmodel = 'damaged.toml'");
    assert!(code == 1 && told.starts_with("h.toml:2: engine.model: net.onnx: its SHA-256 is "), "{told}");
    let (code, told) = write("[engine]\nmodel = 'net.toml'\nmethods = ['grad-cam:nowhere']");
    assert!(code == 78 && told.starts_with("h.toml:3: engine.methods: grad-cam:nowhere: is no node of the network"), "{told}");
    let (code, told) = write("[engine]\nmodel = 'net.toml'\ndevice = 'cuda:99'");
    assert!(code == 1 && told.starts_with("h.toml:3: engine.device: "), "{told}");
    std::fs::remove_file(place.path("h.toml")).unwrap();
    let error = gradcast::config::open(&place.path("h.toml")).err().unwrap();
    assert!(error.exit_code() == 78 && error.to_string().contains("h.toml: cannot be read (No such file"), "{error}");
}

#[test]
fn secrets_are_not_shown() {
    let place = Place::new();
    let text = "http.token_file = 'secret'\nrtsp = { user = 'u', password_file = 'secret' }\n[[stream]]\nname = 'a'\nsource = { kind = 'rtsp', url = 'rtsp://c/x', user = 'u', password_file = 'secret' }\nsink = [{ kind = 'push', url = 'rtsp://d/y', user = 'u', password_file = 'secret' }]";
    let opened = place.open(text).unwrap();
    let stream = &opened.settings.streams[0];
    let shown = format!("{stream:?}{:?}{:?}{}", opened.settings.http, opened.settings.rtsp, opened.configuration.document(stream));
    assert!(!shown.contains(SECRET) && shown.contains("Secret(…)"), "{shown}");
    let gradcast::video::live::Input::Rtsp(rtsp) = &stream.source.input else { panic!("{stream:?}") };
    assert_eq!(rtsp.password.as_ref().unwrap().reveal(), SECRET);
}
