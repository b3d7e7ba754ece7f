//! How the page looks: pictures for people's eyes in target/tmp, and what can be measured.

use gradcast::service::Up;
use serde_json::json;

use crate::{Scene, scene};

async fn busy() -> Scene {
    let scene =
        scene(&["front", "loading-dock", "back_yard", "hall", "ramp-with-a-rather-long-name-that-does-not-fit-anywhere"], None).await;
    scene.fake.set("hall", |state| {
        state.up = Up::Down;
        state.last_error = Some("no frame for 5 s; tried again at 12:04:31 without an answer from camera.example:554".into());
        state.reconnects = 14;
        state.frames.dropped.insert("disconnected".into(), 1841);
        state.since_unix_seconds -= 250.0;
        (state.decoded_fps, state.explained_fps) = (0.0, 0.0);
        (state.latency, state.frames.explained) = (None, 90_214);
    });
    scene.fake.set("back_yard", |state| {
        (state.frames.explained, state.frames.held, state.frames.late) = (1_203_355, 80_223, 12_004);
        state.frames.dropped.insert("engine_queue".into(), 4_312);
        state.frames.dropped.insert("decode_queue".into(), 29);
    });
    scene.fake.set("ramp-with-a-rather-long-name-that-does-not-fit-anywhere", |state| {
        state.up = Up::Starting;
        (state.latency, state.last_residual, state.target_label, state.target_probability) = (None, None, None, None);
        (state.size_px, state.encoder, state.last_frame_unix_seconds) = (None, None, None);
        (state.decoded_fps, state.explained_fps) = (0.0, 0.0);
    });
    scene.browser.until("element('[data-stream=front] img')?.naturalWidth === 320").await;
    scene.browser.until("element('[data-stream=front] .line-p99').getAttribute('d').length > 60").await;
    scene
}

/// Elements that reach out of the window at the right.
const WIDER: &str = "[...document.querySelectorAll('body *')].filter((one) => one.getBoundingClientRect().right > innerWidth + 1)\
    .map((one) => one.outerHTML).join()";

/// Fields without a label, buttons without a name, pictures without a text.
const NAMELESS: &str = "[
    ...[...document.querySelectorAll('.card :is(input, select), #add-form input')].filter((one) => !one.labels.length),
    ...[...document.querySelectorAll('button')].filter((one) => !(one.textContent.trim() || one.getAttribute('aria-label'))),
    ...document.querySelectorAll('img:not([alt])'),
].map((one) => one.outerHTML).join()";

/// The least contrast of texts in a card against their ground, as WCAG reckons it.
const LEAST_CONTRAST: &str = "(() => {
    const luminance = (rgb) => {
        const [r, g, b] = rgb.map((value) => value / 255).map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const numbers = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map(Number);
    const ground = (one) => {
        const colour = getComputedStyle(one).backgroundColor;
        return /, 0\\)$/.test(colour) && one.parentElement ? ground(one.parentElement) : colour;
    };
    const texts = document.querySelectorAll('.card :is(h2, p, dt, dd, label, select, input, summary, figcaption, .up-text, .remove), .bar :is(p, a, button)');
    const contrasts = [...texts].filter((one) => one.checkVisibility()).map((one) => {
        const [light, dark] = [getComputedStyle(one).color, ground(one)].map(numbers).map(luminance).sort((a, b) => b - a);
        return (light + 0.05) / (dark + 0.05);
    });
    return Math.min(...contrasts);
})()";

async fn is_sound(scene: &Scene) {
    for found in [WIDER, NAMELESS] {
        assert_eq!(scene.browser.script(&format!("return {found}")).await, "", "{found}");
    }
    let contrast = scene.browser.script(&format!("return {LEAST_CONTRAST}")).await.as_f64().unwrap();
    assert!(contrast >= 4.5, "{contrast}");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_desk_light_and_dark() {
    let scene = busy().await;
    let browser = &scene.browser;
    let desk = json!({ "width": 1280, "height": 1540, "deviceScaleFactor": 1, "mobile": false });
    browser.protocol("Emulation.setDeviceMetricsOverride", desk).await;
    for scheme in ["light", "dark"] {
        browser.protocol("Emulation.setEmulatedMedia", json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] })).await;
        browser.until(&format!("matchMedia('(prefers-color-scheme: {scheme})').matches")).await;
        is_sound(&scene).await;
        browser.keep_picture(&format!("desktop-{scheme}")).await;
        browser.click("#add").await;
        browser.keep_picture(&format!("add-{scheme}")).await;
        browser.click("#add-cancel").await;
    }
    browser.click("[data-stream=loading-dock] .picture").await;
    browser.until("element('[data-stream=loading-dock] .picture').getAttribute('aria-pressed') === 'true'").await;
    browser.script("element('[data-stream=loading-dock] details').open = true; scrollTo(0, 0)").await;
    is_sound(&scene).await;
    browser.keep_picture("desktop-large").await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_phone() {
    let scene = busy().await;
    let browser = &scene.browser;
    let phone = json!({ "width": 390, "height": 1560, "deviceScaleFactor": 2, "mobile": true });
    browser.protocol("Emulation.setDeviceMetricsOverride", phone).await;
    browser.until("innerWidth === 390").await;
    is_sound(&scene).await;
    browser.keep_picture("phone").await;
    let narrow = json!({ "width": 320, "height": 900, "deviceScaleFactor": 1, "mobile": true });
    browser.protocol("Emulation.setDeviceMetricsOverride", narrow).await;
    browser.until("innerWidth === 320").await;
    is_sound(&scene).await;
    scene.end().await;
}
