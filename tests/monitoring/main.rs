//! What watches the daemon: alert rules with their tests, the scrape configuration and the dashboard, held against docs/metrics.md.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

#[path = "../daemon/mod.rs"]
mod daemon;
mod scraped;

const ALERTS: [&str; 7] =
    ["StreamDown", "StreamStale", "DropRatioHigh", "LatencySLOBurn", "ResidualHigh", "ReconnectStorm", "NoFramesAtAll"];
const ROWS: [&str; 6] = ["Overview", "Latency", "Drops", "Explanation", "Engine", "System"];

/// Labels that Prometheus adds, and those of rules.
const OTHER_LABELS: [&str; 5] = ["job", "instance", "le", "severity", "window"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Runs promtool; false on a machine without it that has no apt to install it by (scripts/setup.sh does).
fn promtool(arguments: &[&str]) -> bool {
    match Command::new("promtool").args(arguments).current_dir(root().join("monitoring")).output() {
        Ok(output) => {
            let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success(), "promtool {}:\n{told}", arguments.join(" "));
            true
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !Path::new("/usr/bin/apt-get").exists() => false,
        Err(error) => panic!("promtool: {error}; run make setup"),
    }
}

/// The metrics of docs/metrics.md: type and labels by name.
fn metrics() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let text = read("docs/metrics.md");
    let rows = text.lines().filter(|line| line.starts_with("| `gradcast_"));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, _unit, meaning] = cells[..] else { panic!("{line}: five columns are wanted") };
        assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}: {kind} is no type");
        assert_eq!(kind == "counter", name.ends_with("_total`"), "{line}: counters, and only they, end in _total");
        assert!(!meaning.is_empty(), "{line}: what does it mean?");
        let labels = labels.split(',').map(str::trim).filter(|label| !label.is_empty()).map(str::to_owned).collect();
        (name.trim_matches('`').to_owned(), (kind.to_owned(), labels))
    })
    .collect()
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

/// The metrics that an expression names, each with the labels in the braces behind it. Recorded ratios have a colon and are not ours to list.
fn named(expression: &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for (at, _) in expression.match_indices("gradcast_") {
        if expression[..at].ends_with(is_of_name) {
            continue;
        }
        let name: String = expression[at..].chars().take_while(|c| is_of_name(*c)).collect();
        let rest = &expression[at + name.len()..];
        let inside = rest.strip_prefix('{').and_then(|rest| rest.split('}').next()).unwrap_or_default();
        // Values stand in quotes; what is left between commas begins with a label.
        let outside_quotes: String = inside.split('"').step_by(2).collect();
        let labels = outside_quotes
            .split(',')
            .map(|part| part.chars().take_while(|c| is_of_name(*c)).collect())
            .filter(|label: &String| !label.is_empty());
        found.push((name, labels.collect()));
    }
    found
}

/// Panics where an expression names what docs/metrics.md does not list.
fn check(place: &str, expression: &str) {
    let metrics = metrics();
    let mut labels_there: BTreeSet<&str> = OTHER_LABELS.into();
    for (name, labels) in named(expression) {
        let family = ["_bucket", "_count", "_sum"].iter().find_map(|part| {
            let family = name.strip_suffix(part)?;
            metrics.get(family).filter(|(kind, _)| kind == "histogram")
        });
        let Some((kind, known)) = family.or_else(|| metrics.get(&name)) else { panic!("{place}: docs/metrics.md has no {name}") };
        assert!(family.is_some() || kind != "histogram", "{place}: {name} is a histogram, and has _bucket, _count and _sum");
        for label in labels {
            let there = known.contains(&label) || OTHER_LABELS.contains(&label.as_str());
            assert!(there, "{place}: {name} has no label {label}");
        }
        labels_there.extend(
            metrics[name.trim_end_matches("_bucket").trim_end_matches("_count").trim_end_matches("_sum")].1.iter().map(String::as_str),
        );
    }
    // What is summed by has to be a label of something in the expression; recorded ratios keep those of their streams.
    for part in expression.split(" by (").skip(1).filter_map(|rest| rest.split(')').next()) {
        for label in part.split(',').map(str::trim) {
            assert!(labels_there.contains(label), "{place}: nothing in it has the label {label}: {expression}");
        }
    }
}

/// The lines `KEY: VALUE` of the rules file, in which every expression stands on one line.
fn values<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.trim_start_matches([' ', '-']).strip_prefix(key)?.strip_prefix(": ")).collect()
}

#[test]
fn rules_are_sound_and_each_alert_is_tested() {
    let rules = read("monitoring/rules.yml");
    let alerts: BTreeSet<&str> = values(&rules, "alert").into_iter().collect();
    assert_eq!(alerts, ALERTS.into());
    let expressions = values(&rules, "expr");
    assert_eq!(expressions.len(), values(&rules, "alert").len() + values(&rules, "record").len());
    for expression in expressions {
        check("monitoring/rules.yml", expression);
    }
    let mut tests: Vec<PathBuf> = fs::read_dir(root().join("monitoring/tests")).unwrap().map(|entry| entry.unwrap().path()).collect();
    tests.sort();
    for alert in ALERTS {
        // Fires in one place, and does not in another.
        let tested = tests.iter().any(|path| {
            let text = fs::read_to_string(path).unwrap();
            let cases: Vec<&str> = text.split("alertname: ").skip(1).filter(|case| case.starts_with(&format!("{alert}\n"))).collect();
            cases.iter().any(|case| case.contains("exp_alerts: []")) && cases.iter().any(|case| case.contains("exp_labels:"))
        });
        assert!(tested, "monitoring/tests has no file in which {alert} fires and does not fire");
    }
    let tests: Vec<&str> = tests.iter().map(|path| path.to_str().unwrap()).collect();
    let _ = promtool(&["check", "config", "prometheus.yml"]) && promtool(&[&["test", "rules"], &tests[..]].concat());
}

/// Titles and expressions of panels.
fn asked_for(panels: &[Value]) -> impl Iterator<Item = (&str, &str)> {
    panels.iter().flat_map(|panel| {
        let targets = panel["targets"].as_array().into_iter().flatten();
        targets.map(|target| (panel["title"].as_str().expect("a title"), target["expr"].as_str().expect("an expression")))
    })
}

/// An expression with the dashboard's variables filled in, for all streams.
fn filled_in(expression: &str, interval: &str) -> String {
    expression.replace("$__rate_interval", interval).replace("$instance", ".*").replace("$stream", ".*")
}

#[test]
fn the_dashboard_asks_for_what_there_is() {
    let dashboard: Value = serde_json::from_str(&read("monitoring/dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut expressions: Vec<&str> = asked_for(panels).map(|(_, expression)| expression).collect();
    assert!(expressions.len() > 30, "only {} expressions were found", expressions.len());
    for expression in &expressions {
        check("monitoring/dashboard.json", expression);
    }
    let shown: BTreeSet<String> = expressions.iter().flat_map(|expression| named(expression)).map(|(name, _)| name).collect();
    let shows = |metric: &String| ["", "_bucket", "_count"].iter().any(|part| shown.contains(&format!("{metric}{part}")));
    let hidden: Vec<String> = metrics().into_keys().filter(|metric| !shows(metric)).collect();
    assert!(hidden.is_empty(), "no panel shows {hidden:?}");
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        check("a variable of monitoring/dashboard.json", variable["query"]["query"].as_str().unwrap_or_default());
    }

    // promtool reads expressions in rules only.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("panels.yml");
    expressions.sort_unstable();
    let rules: Vec<Value> = expressions
        .iter()
        .enumerate()
        .map(|(number, expression)| serde_json::json!({ "record": format!("panel:{number}"), "expr": filled_in(expression, "5m") }))
        .collect();
    fs::write(&path, serde_json::json!({ "groups": [{ "name": "panels", "rules": rules }] }).to_string()).unwrap();
    promtool(&["check", "rules", path.to_str().unwrap()]);
}

/// What Grafana wants of a dashboard that is imported: it has no schema of its own that is published.
#[test]
fn the_dashboard_is_one() {
    let dashboard: Value = serde_json::from_str(&read("monitoring/dashboard.json")).unwrap();
    assert_eq!((dashboard["uid"].as_str(), dashboard["title"].as_str()), (Some("gradcast"), Some("gradcast")));
    assert!(dashboard["schemaVersion"].as_u64().is_some_and(|version| (36..=39).contains(&version)), "of Grafana 9 or 10");
    let panels = dashboard["panels"].as_array().unwrap();
    let rows: Vec<&str> = panels.iter().filter(|panel| panel["type"] == "row").map(|panel| panel["title"].as_str().unwrap()).collect();
    assert_eq!(rows, ROWS);
    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for panel in panels {
        let title = panel["title"].as_str().expect("a title");
        assert!(ids.insert(panel["id"].as_u64().expect("a number")), "{title}: its number is taken");
        let side = |key: &str| panel["gridPos"][key].as_u64().unwrap_or_else(|| panic!("{title}: no {key}"));
        let (x, y, width, height) = (side("x"), side("y"), side("w"), side("h"));
        assert!(x + width <= 24 && width > 0 && height > 0, "{title}: outside of the 24 columns");
        let mut fields = (x..x + width).flat_map(|x| (y..y + height).map(move |y| (x, y)));
        assert!(fields.all(|field| taken.insert(field)), "{title}: lies on another panel");
        if panel["type"] == "row" {
            continue;
        }
        let known = ["timeseries", "stat", "state-timeline", "heatmap", "table"];
        assert!(known.contains(&panel["type"].as_str().expect("a type")), "{title}: another type");
        assert!(panel["description"].as_str().is_some_and(|text| text.ends_with('.')), "{title}: no description");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        let mut letters = BTreeSet::new();
        for target in panel["targets"].as_array().expect("targets") {
            assert!(letters.insert(target["refId"].as_str().expect("a letter")), "{title}: two targets of one letter");
        }
    }
    let variables: Vec<&str> =
        dashboard["templating"]["list"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(variables, ["datasource", "instance", "stream"]);
}

#[test]
fn the_reader_of_expressions_sees_what_it_should() {
    let expression = "sum by (stream) (rate(gradcast_frames_total{instance=~\"$instance\",outcome=\"a,b=c\"}[5m])) / gradcast_stream_up";
    let found = named(expression);
    assert_eq!(found[0], ("gradcast_frames_total".to_owned(), vec!["instance".to_owned(), "outcome".to_owned()]));
    assert_eq!(found[1], ("gradcast_stream_up".to_owned(), vec![]));
    assert!(named("gradcast:frames_dropped:ratio_rate5m > 0").is_empty());
    for wrong in [
        "rate(gradcast_frames_lost_total[5m])",
        "gradcast_frames_total{reason=\"late\"}",
        "gradcast_frame_latency_seconds > 1",
        "sum by (reason) (gradcast_frames_total)",
    ] {
        assert!(std::panic::catch_unwind(|| check("here", wrong)).is_err(), "{wrong} is not noticed");
    }
}
