//! What machines ask about the process itself.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::answer::Answer;
use super::openapi::Guarded;
use super::routes::Shared;

/// The format of the exposition text.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

#[utoipa::path(
    get, path = "/metrics", tag = "service",
    responses((status = 200, description = "All metrics, for Prometheus.", body = String, content_type = "text/plain; version=0.0.4"), Guarded)
)]
/// Metrics as exposition text, version 0.0.4.
pub async fn metrics(State(shared): State<Shared>) -> Answer<Response> {
    let text = shared.ask(|operations| operations.metrics()).await?;
    Ok(([(header::CONTENT_TYPE, EXPOSITION)], text).into_response())
}

#[utoipa::path(
    get, path = "/-/healthy", tag = "service", security(()),
    responses(
        (status = 200, description = "The process should live.", body = String, content_type = "text/plain"),
        (status = 503, description = "It hangs: restart it.", body = String, content_type = "text/plain"),
    )
)]
/// Whether the process should live. Dead cameras are no reason not to. Needs no token.
pub async fn healthy(State(shared): State<Shared>) -> Response {
    match shared.ask(|operations| operations.healthy()).await {
        Ok(true) => "healthy\n".into_response(),
        Ok(false) => (StatusCode::SERVICE_UNAVAILABLE, "something hangs; the process should be restarted\n").into_response(),
        Err(failure) => (failure.status, failure.complaint.error + "\n").into_response(),
    }
}

#[utoipa::path(
    get, path = "/-/ready", tag = "service", security(()),
    responses(
        (status = 200, description = "The service can be used.", body = String, content_type = "text/plain"),
        (status = 503, description = "It is starting or ending; the text says why.", body = String, content_type = "text/plain"),
    )
)]
/// Whether the service can be used: network loaded, engine turning, configuration in force. Needs no token.
pub async fn ready(State(shared): State<Shared>) -> Response {
    match shared.ask(|operations| operations.readiness()).await {
        Ok(readiness) if readiness.ready => "ready\n".into_response(),
        Ok(readiness) => {
            let why = readiness.why.unwrap_or_else(|| "not ready".into());
            (StatusCode::SERVICE_UNAVAILABLE, why + "\n").into_response()
        }
        Err(failure) => (failure.status, failure.complaint.error + "\n").into_response(),
    }
}
