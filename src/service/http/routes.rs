//! What is served where.

use std::future::Future;
use std::panic;
use std::sync::Arc;

use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, post};
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_stream::wrappers::WatchStream;
use tokio_stream::{Stream, StreamExt};

use super::super::operations::Operations;
use super::answer::{Answer, Failure};
use super::events::{self, Announcer};
use super::guard::{Guard, guard};
use super::listening::Limits;
use super::{login, openapi, page, previews, probes, streams};

/// Every path that is served.
pub const PATHS: [&str; 16] = [
    "/",
    "/page/{file}",
    "/login",
    "/logout",
    "/metrics",
    "/-/healthy",
    "/-/ready",
    "/api/v1/streams",
    "/api/v1/streams/{name}",
    "/api/v1/streams/{name}/preview.jpg",
    "/api/v1/streams/{name}/preview.mjpeg",
    "/api/v1/previews",
    "/api/v1/events",
    "/api/v1/options",
    "/api/v1/reload",
    "/api/v1/openapi.json",
];

/// What serves each of [`PATHS`], in their order.
fn served() -> [MethodRouter<Shared>; PATHS.len()] {
    [
        get(page::index),
        get(page::file),
        get(login::form).post(login::enter),
        post(login::leave),
        get(probes::metrics),
        get(probes::healthy),
        get(probes::ready),
        get(streams::list).post(streams::add),
        get(streams::show).patch(streams::change).delete(streams::remove),
        get(previews::still),
        get(previews::motion),
        get(previews::many),
        get(events::events),
        get(streams::options),
        post(streams::reload),
        get(openapi::serve),
    ]
}

/// The router over all of them.
pub fn router(shared: Shared) -> Router {
    let router = PATHS.into_iter().zip(served()).fold(Router::new(), |router, (path, served)| router.route(path, served));
    router
        .fallback(async |uri: Uri| {
            Failure::new(StatusCode::NOT_FOUND, format!("there is nothing at {}; see /api/v1/openapi.json", uri.path()))
        })
        .method_not_allowed_fallback(async |method: Method, uri: Uri| {
            Failure::new(StatusCode::METHOD_NOT_ALLOWED, format!("{} takes no {method}; the header Allow says what it takes", uri.path()))
        })
        .layer(from_fn_with_state(shared.clone(), guard))
        .with_state(shared)
}

/// What all handlers share.
#[derive(Clone)]
pub struct Shared(Arc<Inner>);

struct Inner {
    operations: Arc<dyn Operations>,
    guard: Guard,
    limits: Limits,
    announcer: Announcer,
    watchers: Arc<Semaphore>,
    stopped: watch::Receiver<bool>,
}

impl Shared {
    /// Also gives what has to run beside: it asks for the states that listeners are told.
    pub fn new(
        operations: Arc<dyn Operations>,
        guard: Guard,
        limits: Limits,
        stopped: watch::Receiver<bool>,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let announcer = Announcer::new();
        let news = announcer.clone().run(Arc::clone(&operations));
        let watchers = Arc::new(Semaphore::new(limits.watchers));
        (Shared(Arc::new(Inner { operations, guard, limits, announcer, watchers, stopped })), news)
    }

    pub fn guard(&self) -> &Guard {
        &self.0.guard
    }

    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    pub fn announcer(&self) -> &Announcer {
        &self.0.announcer
    }

    /// Asks the service, on a thread that may wait.
    pub async fn ask<T: Send + 'static>(&self, question: impl FnOnce(&dyn Operations) -> T + Send + 'static) -> Answer<T> {
        ask(&self.0.operations, question).await
    }

    /// An answer that goes on, as one of a bounded number, until it ends or the service does.
    pub fn watched(&self, parts: impl Stream<Item = Bytes> + Unpin + Send + 'static) -> Answer<impl Stream<Item = Bytes> + Send + 'static> {
        let permit: OwnedSemaphorePermit = Arc::clone(&self.0.watchers)
            .try_acquire_owned()
            .map_err(|_| Failure::new(StatusCode::SERVICE_UNAVAILABLE, "too many watch already; close a page or a viewer and try again"))?;
        let stop = WatchStream::new(self.0.stopped.clone()).filter(|stopped| *stopped).map(|_| None);
        let parts = parts.map(Some).chain(tokio_stream::once(None)).merge(stop);
        Ok(parts.map_while(move |part| {
            let _kept = &permit;
            part
        }))
    }
}

/// See [`Shared::ask`].
pub async fn ask<T: Send + 'static>(
    operations: &Arc<dyn Operations>,
    question: impl FnOnce(&dyn Operations) -> T + Send + 'static,
) -> Answer<T> {
    let operations = Arc::clone(operations);
    match tokio::task::spawn_blocking(move || question(&*operations)).await {
        Ok(answer) => Ok(answer),
        Err(fault) if fault.is_panic() => panic::resume_unwind(fault.into_panic()),
        // The runtime is ending.
        Err(_) => Err(Failure::not_now()),
    }
}
