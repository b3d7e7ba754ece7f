//! States as they change, as server-sent events.
//!
//! One task asks for the states, and only while somebody listens; every listener is told what is new to it. A listener that reads slowly
//! skips states between.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tokio::time::{MissedTickBehavior, interval};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::WatchStream;

use super::super::operations::Operations;
use super::answer::Answer;
use super::openapi::Guarded;
use super::routes::{Shared, ask};
use crate::clock;

/// Between two looks at the states.
const PERIOD: Duration = Duration::from_millis(500);

/// The states at one time, as JSON.
#[derive(Debug, Default)]
struct News {
    /// Name and state, in order.
    streams: Vec<(String, String)>,
    service: String,
    time: String,
}

/// Where listeners join.
#[derive(Clone)]
pub struct Announcer {
    /// `None` while nobody listens, so that a new listener waits for new states.
    news: watch::Sender<Option<Arc<News>>>,
    joined: Arc<Notify>,
}

impl Announcer {
    /// Nobody listens yet.
    pub fn new() -> Self {
        Announcer { news: watch::Sender::new(None), joined: Arc::default() }
    }

    fn join(&self) -> watch::Receiver<Option<Arc<News>>> {
        let listener = self.news.subscribe();
        self.joined.notify_one();
        listener
    }

    /// Asks for states while somebody listens, for ever.
    pub async fn run(self, operations: Arc<dyn Operations>) {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if self.news.receiver_count() == 0 {
                self.news.send_replace(None);
                self.joined.notified().await;
                ticks.reset_immediately();
                continue;
            }
            ticks.tick().await;
            if let Ok(news) = ask(&operations, look).await {
                self.news.send_replace(Some(Arc::new(news)));
            }
        }
    }
}

fn look(operations: &dyn Operations) -> News {
    let streams = operations.states().into_iter().map(|state| (state.name.clone(), as_json(&state))).collect();
    let readiness = operations.readiness();
    let service = as_json(&json!({ "healthy": operations.healthy(), "ready": readiness.ready, "why": readiness.why }));
    News { streams, service, time: as_json(&json!({ "unix_seconds": clock::unix_time().as_secs_f64() })) }
}

fn as_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("states are plain data with texts as keys")
}

/// What of `new` is not known from `old`, as events. The text has no line breaks but those of the format: JSON writes them as `\n`.
fn told(old: &News, new: &News) -> Bytes {
    let mut text = String::new();
    let mut tell = |event: &str, data: &str| text.extend(["event: ", event, "\ndata: ", data, "\n\n"]);
    if new.service != old.service {
        tell("service", &new.service);
    }
    for (name, state) in &new.streams {
        if !old.streams.iter().any(|(known, before)| known == name && before == state) {
            tell("stream", state);
        }
    }
    let names = |news: &News| news.streams.iter().map(|(name, _)| Value::from(name.as_str())).collect::<Vec<_>>();
    // Who has just joined is told the order of no streams too.
    if old.service.is_empty() || names(new) != names(old) {
        tell("streams", &as_json(&names(new)));
    }
    tell("time", &new.time);
    text.into()
}

#[utoipa::path(
    get, path = "/api/v1/events", tag = "streams",
    responses(
        (status = 200, description = "Server-sent events: `stream` (a StreamState) where one has changed, `streams` (all names in order) where \
          one has come or gone, `service` (healthy, ready, why) and `time` (the service's clock, unix_seconds) twice a second.",
         body = String, content_type = "text/event-stream"),
        Guarded,
    )
)]
/// States as they change, about twice a second.
pub async fn events(State(shared): State<Shared>) -> Answer<Response> {
    let mut known = Arc::new(News::default());
    let changes = WatchStream::new(shared.announcer().join()).filter_map(move |news| {
        let news = news?;
        let text = told(&known, &news);
        known = news;
        Some(text)
    });
    let first = tokio_stream::once(Bytes::from_static(b"retry: 1000\n\n"));
    let body = shared.watched(first.chain(changes))?.map(Ok::<_, Infallible>);
    Ok(([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(body)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(streams: &[(&str, &str)], service: &str) -> News {
        let streams = streams.iter().map(|(name, state)| ((*name).to_owned(), (*state).to_owned())).collect();
        News { streams, service: service.into(), time: "{}".into() }
    }

    #[test]
    fn only_what_is_new_is_told() {
        let nothing = News::default();
        let one = news(&[("a", "1")], "up");
        let two = news(&[("a", "1"), ("b", "2")], "up");
        assert_eq!(told(&nothing, &news(&[], "up")), "event: service\ndata: up\n\nevent: streams\ndata: []\n\nevent: time\ndata: {}\n\n");
        assert_eq!(told(&one, &one), "event: time\ndata: {}\n\n");
        assert_eq!(told(&one, &two), "event: stream\ndata: 2\n\nevent: streams\ndata: [\"a\",\"b\"]\n\nevent: time\ndata: {}\n\n");
        assert_eq!(told(&two, &one), "event: streams\ndata: [\"a\"]\n\nevent: time\ndata: {}\n\n");
        assert_eq!(told(&one, &news(&[("a", "3")], "up")), "event: stream\ndata: 3\n\nevent: time\ndata: {}\n\n");
    }
}
