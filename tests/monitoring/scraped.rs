//! A real daemon, and a real Prometheus that scrapes it with the files in monitoring/.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

use super::daemon::Daemon;
use super::{asked_for, filled_in, metrics, read};

/// Slow, and patient with the network, so that frames are explained on a machine that is busy with other things.
const STREAM: &str = r#"
[[stream]]
name = "pattern"
source = { kind = "test", size = "320x240", fps = 2 }
deadline = "10s"
sink = ["rtsp"]
"#;

/// Panels that are empty while nothing is wrong.
const EMPTY_WHEN_WELL: [&str; 2] = ["Connected anew", "Sinks started anew"];

/// Types by family, and the labels that its series have.
type Exposed = (BTreeMap<String, String>, BTreeMap<String, BTreeSet<String>>);

fn exposed(text: &str) -> Exposed {
    let types: BTreeMap<String, String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect();
    let mut labels: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        let family =
            ["_bucket", "_count", "_sum"].iter().filter_map(|part| name.strip_suffix(part)).find(|family| types.contains_key(*family));
        let of_family = labels.entry(family.unwrap_or(name).to_owned()).or_default();
        let inside = line.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}')).map_or("", |(inside, _)| inside);
        // Values stand in quotes.
        let outside_quotes: String = inside.split('"').step_by(2).collect();
        let names = outside_quotes.split(',').map(|label| label.trim_end_matches('='));
        of_family.extend(names.filter(|label| !label.is_empty() && *label != "le").map(str::to_owned));
    }
    (types, labels)
}

#[test]
fn the_list_of_metrics_is_what_a_daemon_exports() {
    let mut daemon = Daemon::start(STREAM);
    daemon.wait_for_frames("pattern", 5);
    let text = daemon.get("/metrics").body;
    let (types, labels) = exposed(&text);
    let listed = metrics();
    for (name, (kind, their_labels)) in &listed {
        assert_eq!(types.get(name), Some(kind), "docs/metrics.md lists {name}, and a daemon has\n{text}");
        assert_eq!(labels.get(name), Some(their_labels), "labels of {name}");
    }
    let unlisted: Vec<&String> = types.keys().filter(|name| !listed.contains_key(*name)).collect();
    assert!(unlisted.is_empty(), "docs/metrics.md does not list {unlisted:?}");
}

/// A Prometheus with our configuration, but for the target and how often it looks.
struct Prometheus {
    child: Child,
    port: u16,
    log: Arc<Mutex<Vec<String>>>,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    /// None on a machine without it that has no apt to install it by.
    fn start(target: u16, daemon: &mut Daemon) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let configuration = read("monitoring/prometheus.yml");
        assert!(configuration.contains("127.0.0.1:9464") && configuration.contains("_interval: 15s"), "{configuration}");
        let configuration =
            configuration.replace("127.0.0.1:9464", &format!("127.0.0.1:{target}")).replace("_interval: 15s", "_interval: 1s");
        fs::write(folder.path().join("prometheus.yml"), configuration).unwrap();
        fs::write(folder.path().join("rules.yml"), read("monitoring/rules.yml")).unwrap();
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()));
        command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
        command.arg("--web.listen-address=127.0.0.1:0").stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !Path::new("/usr/bin/apt-get").exists() => return None,
            Err(error) => panic!("prometheus: {error}; run make setup"),
        };
        let log = Arc::new(Mutex::new(Vec::new()));
        let (lines, writes) = (BufReader::new(child.stderr.take().unwrap()).lines(), Arc::clone(&log));
        thread::spawn(move || lines.map_while(Result::ok).for_each(|line| writes.lock().unwrap().push(line)));
        let mut prometheus = Prometheus { child, port: 0, log, _folder: folder };
        daemon.wait_for("Prometheus", |_| {
            let log = prometheus.log.lock().unwrap();
            let line = log.iter().find(|line| line.contains("Listening on"));
            prometheus.port = line
                .and_then(|line| line.split("127.0.0.1:").nth(1)?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok())
                .unwrap_or(0);
            prometheus.port > 0
        });
        Some(prometheus)
    }

    /// `data` of an answer of its API. None while it is not ready.
    fn get(&self, path: &str, query: &[(&str, &str)]) -> Option<Value> {
        let mut url = url::Url::parse(&format!("http://127.0.0.1:{}/api/v1/{path}", self.port)).unwrap();
        url.query_pairs_mut().extend_pairs(query);
        let settings = ureq::Agent::config_builder().http_status_as_error(false);
        let agent: ureq::Agent = settings.build().into();
        let mut answer = agent.get(url.as_str()).call().ok()?;
        let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string().ok()?).ok()?;
        assert_eq!(answer["status"], "success", "{path} {query:?}: {answer}");
        Some(answer["data"].clone())
    }

    /// How many series an expression gives.
    fn count(&self, expression: &str) -> usize {
        self.get("query", &[("query", expression)]).and_then(|data| data["result"].as_array().map(Vec::len)).unwrap_or(0)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("Prometheus' log:\n{}", self.log.lock().unwrap().join("\n"));
        }
    }
}

#[test]
fn prometheus_scrapes_it_judges_it_and_fills_every_panel() {
    let mut daemon = Daemon::start(STREAM);
    let Some(prometheus) = Prometheus::start(daemon.http_port, &mut daemon) else { return };
    daemon.wait_for("a scrape", |_| prometheus.count("up{job=\"gradcast\"} == 1") == 1);
    daemon.wait_for("the stream in Prometheus", |_| prometheus.count("gradcast_stream_up{stream=\"pattern\"} == 1") == 1);
    daemon.wait_for("frames in Prometheus", |_| prometheus.count("rate(gradcast_frames_total{outcome=\"explained\"}[1m]) > 0") == 1);
    // The shortest of the recorded ratios looks back for five minutes and has values from two scrapes on.
    daemon.wait_for("the recorded ratios", |_| prometheus.count("gradcast:frames_over_100ms:ratio_rate5m{stream=\"pattern\"} >= 0") == 1);

    let groups = prometheus.get("rules", &[]).expect("rules");
    let rules: Vec<&Value> = groups["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
    assert_eq!(rules.len(), read("monitoring/rules.yml").matches("expr: ").count());
    daemon.wait_for("every rule", |_| {
        let groups = prometheus.get("rules", &[]).expect("rules");
        let rules = groups["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap().clone());
        rules.into_iter().all(|rule| rule["health"] == "ok")
    });
    // Of a stream that has frames nobody is told that it is gone.
    for alert in ["StreamDown", "StreamStale", "NoFramesAtAll", "ReconnectStorm"] {
        assert_eq!(prometheus.count(&format!("ALERTS{{alertname=\"{alert}\"}}")), 0, "{alert}");
    }

    let dashboard: Value = serde_json::from_str(&read("monitoring/dashboard.json")).unwrap();
    for (title, expression) in asked_for(dashboard["panels"].as_array().unwrap()) {
        let expression = filled_in(expression, "1m");
        if EMPTY_WHEN_WELL.contains(&title) {
            assert_eq!(prometheus.count(&expression), 0, "{title}: {expression}");
        } else {
            daemon.wait_for(&format!("the panel {title}: {expression}"), |_| prometheus.count(&expression) > 0);
        }
    }

    // The stream is gone, and its series with it.
    assert_eq!(daemon.delete("/api/v1/streams/pattern").status, 204);
    daemon.wait_for("the end of its series", |_| prometheus.count("gradcast_stream_up{stream=\"pattern\"}") == 0);
}
