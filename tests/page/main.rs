//! The page in a browser, against a service whose numbers and pictures move.

#![allow(clippy::unwrap_used)]

#[path = "../fake_service/mod.rs"]
mod fake_service;

mod browser;
mod looks;

use std::sync::Arc;

use browser::Browser;
use fake_service::{Fake, Served};
use gradcast::service::Up;
use gradcast::service::http::Limits;
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

/// One browser at a time: two would starve each other on a small machine.
static TURN: Mutex<()> = Mutex::const_new(());

struct Scene {
    fake: Arc<Fake>,
    served: Served,
    browser: Browser,
    _moving: fake_service::Moving,
    _turn: MutexGuard<'static, ()>,
}

async fn scene(names: &[&str], token: Option<&str>) -> Scene {
    let turn = TURN.lock().await;
    let fake = Fake::with(names);
    let moving = fake.animate();
    let served = Served::new(fake.clone(), token);
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/", served.address)).await;
    Scene { fake, served, browser, _moving: moving, _turn: turn }
}

impl Scene {
    /// The documents of all changes that were asked for, of one key.
    fn changes(&self, key: &str) -> Vec<Value> {
        let asked = self.fake.asked.lock().unwrap();
        let changes = asked.iter().filter(|(what, _, _)| *what == "change");
        changes.filter_map(|(_, _, document)| document.get(key).cloned()).collect()
    }

    async fn end(self) {
        assert_eq!(self.browser.complaints().await, [""; 0]);
        self.browser.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_and_pictures_move() {
    let scene = scene(&["front", "back"], None).await;
    let browser = &scene.browser;
    browser.until("document.querySelectorAll('.card').length === 2").await;
    assert_eq!(browser.text("[data-stream=front] h2").await, "front");
    assert_eq!(browser.text("[data-stream=front] .source").await, "rtsp://camera.example/stream");
    for number in [".p50", ".p99", ".residual", ".decoded-fps", ".explained-fps", ".confidence", ".outcomes .explained dd"] {
        browser.until_changed(&format!("element('[data-stream=back] {number}').innerText")).await;
    }
    browser.until("/^Up for [0-9]+ s$/.test(element('[data-stream=front] .up').innerText)").await;
    browser.until("/^2 streams, 2 up · 3[0-9.]+ frames\\/s · 2[0-9.]+ explained\\/s$/.test(element('#summary').innerText)").await;
    browser.until("/M\\d+ .*L\\d+ /.test(element('[data-stream=front] .line-p99').getAttribute('d'))").await;

    for stream in ["front", "back"] {
        let image = format!("element('[data-stream={stream}] img')");
        browser.until(&format!("{image}.complete && {image}.naturalWidth === 320")).await;
        browser.until_changed(&format!("{image}.src")).await;
    }
    // One that is started anew has another feed.
    scene.fake.restart("back");
    let image = "element('[data-stream=back] img').src";
    browser.until_changed(image).await;
    browser.until_changed(image).await;
    // What is out of sight is not asked for.
    browser.script("for (const card of document.querySelectorAll('.card')) card.hidden = card.dataset.stream === 'back'").await;
    until(|| scene.fake.viewers("back") == 0 && scene.fake.viewers("front") == 1).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_a_stream_is_told() {
    let scene = scene(&["front", "back"], None).await;
    let browser = &scene.browser;
    browser.until("element('[data-stream=back]')?.dataset.up === 'up'").await;
    scene.fake.set("back", |state| {
        state.up = Up::Down;
        state.last_error = Some("no answer from camera.example within 5 s".into());
        state.frames.dropped.insert("disconnected".into(), 17);
    });
    browser.until("element('[data-stream=back] .up-text').innerText === 'Down'").await;
    assert_eq!(browser.text("[data-stream=back] .last-error").await, "no answer from camera.example within 5 s");
    browser.until("element('[data-stream=back] .reasons').innerText.includes('disconnected 17')").await;
    browser.until("/^Last frame \\d+ s ago$/.test(element('[data-stream=back] .stale').innerText)").await;
    browser.until("document.title === '1 down – gradcast' && element('#changes').textContent === 'back is down'").await;
    *scene.fake.why_not_ready.lock().unwrap() = Some("the service is ending".into());
    browser.until("element('#service').innerText === 'the service is ending'").await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_reach_the_service_and_faults_their_field() {
    let scene = scene(&["front"], None).await;
    let browser = &scene.browser;
    let field = |key: &str| format!("[data-stream=front] [data-key={key}]");
    browser.until("document.querySelectorAll('#targets option').length === 8").await;
    assert_eq!(browser.text(&format!("{} output", field("opacity"))).await, "50 %");

    browser.keys(&format!("{} input", field("opacity")), "\u{E014}\u{E014}\u{E014}").await;
    until(|| scene.changes("opacity").last() == Some(&json!(0.53))).await;
    browser.until(&format!("element('{} output').innerText === '53 %'", field("opacity"))).await;
    scene.fake.set("front", |state| state.look.opacity = 0.2);
    browser.until(&format!("element('{} output').innerText === '20 %'", field("opacity"))).await;

    for (key, value) in [("colour_map", "magma"), ("method", "input-x-gradient")] {
        browser.click(&format!("{} option[value={value}]", field(key))).await;
        until(|| scene.changes(key) == [json!(value)]).await;
        browser.until(&format!("element('{} select').value === '{value}'", field(key))).await;
    }

    let target = format!("{} input", field("target"));
    browser.write(&target, "golden retreiver\n").await;
    browser.until(&format!("element('{target}').getAttribute('aria-invalid') === 'true'")).await;
    let fault = browser.text(&format!("{} .fault", field("target"))).await;
    assert_eq!(fault, "target: \"golden retreiver\" is no label of the network; nearest: \"golden retriever\"");
    let described =
        browser.script(&format!("return document.getElementById(element('{target}').getAttribute('aria-describedby')).innerText")).await;
    assert_eq!(described, fault);
    // Nothing is no value.
    browser.write(&target, "\u{E017}").await;
    browser.keys(&target, "\n").await;
    browser.until(&format!("element('{target}').value === 'hold:0.5'")).await;
    browser.write(&target, "golden retreiver\n").await;
    browser.until(&format!("element('{target}').getAttribute('aria-invalid') === 'true'")).await;
    // What stands in the field is the person's, while the service goes on.
    browser.until_changed("element('.outcomes .explained dd').innerText").await;
    assert_eq!(browser.script(&format!("return element('{target}').value")).await, "golden retreiver");
    browser.write(&target, "tabby cat\n").await;
    browser.until(&format!("element('{} .fault').hidden && !element('{target}').hasAttribute('aria-invalid')", field("target"))).await;
    assert_eq!(scene.changes("target").last(), Some(&json!("tabby cat")));
    // The browser itself says that something was refused.
    let complaints = browser.complaints().await;
    assert!(complaints.len() == 2 && complaints.iter().all(|complaint| complaint.contains("422")), "{complaints:?}");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_added_and_removed() {
    let scene = scene(&[], None).await;
    let browser = &scene.browser;
    browser.until("!element('#empty').hidden").await;
    browser.click("#add").await;
    browser.write("#add-name", "side door").await;
    browser.click("#add-go").await;
    browser.until("element('#add-name-fault').innerText.startsWith('name: has to be')").await;
    assert!(browser.text("#add-source-fault").await.starts_with("source: has to be"));
    assert_eq!(browser.script("return document.activeElement.id").await, "add-name");
    browser.write("#add-name", "side-door").await;
    browser.write("#add-source", "/dev/video0\n").await;
    browser.until("element('[data-stream=side-door]') && !element('#add-dialog').open && element('#empty').hidden").await;

    browser.click("#add").await;
    browser.write("#add-name", "side-door").await;
    browser.write("#add-source", "/dev/video1\n").await;
    browser.until("element('#add-name-fault').innerText.includes('there is a stream \"side-door\" already')").await;
    browser.click("#add-cancel").await;

    let remove = "[data-stream=side-door] .remove";
    browser.click(remove).await;
    browser.until("element('#remove-dialog').open").await;
    assert_eq!(browser.text("#remove-title").await, "Remove side-door?");
    browser.click("#remove-cancel").await;
    assert!(scene.fake.asked.lock().unwrap().iter().all(|(what, _, _)| *what != "remove"));
    browser.click(remove).await;
    browser.click("#remove-go").await;
    browser.until("!element('[data-stream=side-door]') && !element('#empty').hidden").await;
    assert_eq!(scene.fake.asked.lock().unwrap().last().unwrap().0, "remove");
    let complaints = browser.complaints().await;
    assert!(complaints.len() == 2 && complaints[0].contains("422") && complaints[1].contains("409"), "{complaints:?}");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_is_asked_for_once() {
    let scene = scene(&["front"], Some("opensesame")).await;
    let browser = &scene.browser;
    browser.keep_picture("login").await;
    browser.write("#token", "sesame\n").await;
    browser.until("element('#fault')?.innerText === 'This is not the token.'").await;
    browser.write("#token", "opensesame\n").await;
    browser.until("element('[data-stream=front] img')?.naturalWidth === 320").await;
    assert_eq!(browser.script("return document.cookie").await, "", "scripts do not see the cookie");
    browser.open(&format!("http://{}/", scene.served.address)).await;
    browser.until("element('[data-stream=front]')").await;
    browser.click("nav form button").await;
    browser.until("element('#token') && location.pathname === '/login'").await;
    browser.open(&format!("http://{}/", scene.served.address)).await;
    browser.until("element('#token')").await;
    // The form stands where 401 was answered, which the browser notes.
    let complaints = browser.complaints().await;
    assert!(complaints.iter().all(|complaint| complaint.contains("401")), "{complaints:?}");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_says_that_the_daemon_is_away_and_comes_back_by_itself() {
    let Scene { fake, served, browser, _moving, _turn } = scene(&["front"], None).await;
    browser.until("element('[data-stream=front] img')?.naturalWidth === 320 && element('#away').hidden").await;
    let address = served.address;
    served.stop();
    browser.until("!element('#away').hidden && element('#away').innerText.startsWith('The daemon has not answered since ')").await;
    browser.keep_picture("away").await;
    browser.script("window.theSamePage = true").await;

    let mut settings = fake_service::settings(None);
    settings.listen = address;
    let _again = Served::start(fake.clone(), &settings, Limits::default()).unwrap();
    browser.until("element('#away').hidden").await;
    browser.until_changed("element('.outcomes .explained dd').innerText").await;
    browser.until_changed("element('[data-stream=front] img').src").await;
    assert_eq!(browser.script("return window.theSamePage").await, true, "nobody has loaded it again");
    browser.close().await;
}

async fn until(holds: impl Fn() -> bool) {
    let watch = gradcast::clock::Stopwatch::start();
    while !holds() {
        assert!(watch.elapsed().as_secs() < 60, "not within a minute");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
