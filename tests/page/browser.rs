//! A headless Chromium of one's own, by chromedriver.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::http::Method;
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder};
use gradcast::clock::Stopwatch;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::{ParseError, Url};

/// No test waits longer for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// Everything in Chromium that would ask somebody else stays off.
const ARGUMENTS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1280,900",
];

/// The driver and whatever it has started; all of it ends with this.
struct Driver(Child);

impl Driver {
    fn start() -> (Self, u16) {
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("chromedriver starts (Debian's packages chromium and chromium-driver)");
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let port = lines.map_while(Result::ok).find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse().ok()
        });
        (Driver(child), port.expect("chromedriver says its port"))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let group = i32::try_from(self.0.id()).expect("a process id");
        // SAFETY: a signal to the process group that this test made.
        unsafe { libc::kill(-group, libc::SIGKILL) };
        let _ = self.0.wait();
    }
}

/// A command of Chromium's own protocol, or of its driver's.
#[derive(Debug)]
struct Own {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Own {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

/// A browser with one window.
pub struct Browser {
    client: Client,
    _driver: Driver,
    _profile: TempDir,
}

impl Browser {
    pub async fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let (driver, port) = Driver::start();
        let mut arguments: Vec<String> = ARGUMENTS.map(str::to_owned).into();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let mut capabilities = Capabilities::new();
        capabilities.insert("goog:chromeOptions".into(), json!({ "args": arguments }));
        capabilities.insert("goog:loggingPrefs".into(), json!({ "browser": "ALL" }));
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("Chromium starts");
        Browser { client, _driver: driver, _profile: profile }
    }

    pub async fn close(self) {
        self.client.close().await.unwrap();
    }

    pub async fn open(&self, address: &str) {
        self.client.goto(address).await.unwrap();
    }

    /// What a script gives; `element(css)` is the first such element.
    pub async fn script(&self, script: &str) -> Value {
        let helped = format!("const element = (css) => document.querySelector(css); {script}");
        self.client.execute(&helped, Vec::new()).await.unwrap()
    }

    /// The text of the first such element that is to be seen; empty without one.
    pub async fn text(&self, css: &str) -> String {
        let text = self.script(&format!("return element({css:?})?.innerText ?? ''")).await;
        text.as_str().unwrap().to_owned()
    }

    /// Waits until a script gives true.
    pub async fn until(&self, condition: &str) {
        let watch = Stopwatch::start();
        while self.script(&format!("return Boolean({condition})")).await != true {
            if watch.elapsed() > PATIENCE {
                let seen = self.text("body").await;
                panic!("not within {PATIENCE:?}: {condition}\n{seen}\n{:?}", self.complaints().await);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until this script gives something else than now.
    pub async fn until_changed(&self, what: &str) {
        let before = self.script(&format!("return {what}")).await;
        self.until(&format!("({what}) !== {before}")).await;
    }

    pub async fn click(&self, css: &str) {
        self.client.find(fantoccini::Locator::Css(css)).await.unwrap().click().await.unwrap();
    }

    /// Types into a field what stands there instead of what stood there.
    pub async fn write(&self, css: &str, text: &str) {
        // Control and A.
        self.keys(css, &format!("\u{E009}a\u{E009}{text}")).await;
    }

    pub async fn keys(&self, css: &str, text: &str) {
        self.client.find(fantoccini::Locator::Css(css)).await.unwrap().send_keys(text).await.unwrap();
    }

    /// What the browser has complained of since the last time: scripts that failed, what the policy refused.
    pub async fn complaints(&self) -> Vec<String> {
        let log = self.client.issue_cmd(Own { path: "se/log", body: json!({ "type": "browser" }) }).await.unwrap();
        let severe = log.as_array().unwrap().iter().filter(|entry| entry["level"] == "SEVERE");
        severe.map(|entry| entry["message"].as_str().unwrap().to_owned()).collect()
    }

    pub async fn protocol(&self, command: &str, parameters: Value) {
        self.client.issue_cmd(Own { path: "goog/cdp/execute", body: json!({ "cmd": command, "params": parameters }) }).await.unwrap();
    }

    /// A picture of the page in target/tmp, to be looked at.
    pub async fn keep_picture(&self, name: &str) {
        let png = self.client.screenshot().await.unwrap();
        assert!(png.starts_with(b"\x89PNG"));
        std::fs::write(format!("{}/page-{name}.png", env!("CARGO_TARGET_TMPDIR")), png).unwrap();
    }
}
