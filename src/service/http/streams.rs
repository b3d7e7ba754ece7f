//! Streams: listed, added, changed, removed; the configuration read again; what can be chosen.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::super::state::StreamState;
use super::answer::{Answer, Failure};
use super::document::Document;
use super::openapi::{Changes, Documented, Guarded, NewStream, OfOneStream};
use super::routes::Shared;

/// What can be chosen from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Options {
    /// Of this program.
    #[schema(example = "0.1.0")]
    pub version: String,
    /// Methods that streams may be changed to.
    pub methods: Vec<String>,
    /// Colour maps.
    pub colour_maps: Vec<String>,
    /// The network's labels by index; empty where they are not known.
    pub labels: Vec<String>,
}

/// What reading the configuration again has come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Reloaded {
    /// What has changed in the file and holds only from the next start of the service on.
    pub from_next_start: Vec<String>,
}

/// A stream's name in a path. One that is no UTF-8 is no stream's.
pub fn named(name: Result<Path<String>, PathRejection>) -> Answer<String> {
    name.map(|Path(name)| name).map_err(|_| Failure::new(StatusCode::NOT_FOUND, "there is no such stream: its name is no UTF-8"))
}

#[utoipa::path(
    get, path = "/api/v1/streams", tag = "streams",
    responses((status = 200, description = "All streams, in the order of the configuration.", body = [StreamState]), Guarded)
)]
/// All streams and how they fare.
pub async fn list(State(shared): State<Shared>) -> Answer<Json<Vec<StreamState>>> {
    Ok(Json(shared.ask(|operations| operations.states()).await?))
}

#[utoipa::path(
    post, path = "/api/v1/streams", tag = "streams", request_body = NewStream,
    responses(
        (status = 201, description = "The stream was added and is starting.", body = StreamState,
         headers(("location" = String, description = "Where the stream is now."))),
        (status = 409, description = "There is a stream of this name.", body = super::Complaint),
        Documented, Guarded,
    )
)]
/// Adds a stream, until it is removed or the service ends: the file is not written.
pub async fn add(State(shared): State<Shared>, Document(document): Document) -> Answer<Response> {
    let name = document.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let state = shared.ask(move |operations| operations.add(&document)).await?.map_err(|refused| Failure::of(refused, &name))?;
    let location = format!("/api/v1/streams/{}", state.name);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(state)).into_response())
}

#[utoipa::path(
    get, path = "/api/v1/streams/{name}", tag = "streams", params(OfOneStream),
    responses(
        (status = 200, description = "How it fares.", body = StreamState),
        (status = 404, description = "There is no such stream.", body = super::Complaint),
        Guarded,
    )
)]
/// One stream.
pub async fn show(State(shared): State<Shared>, name: Result<Path<String>, PathRejection>) -> Answer<Json<StreamState>> {
    let name = named(name)?;
    let asked = name.clone();
    shared.ask(move |operations| operations.state(&asked)).await?.map(Json).ok_or_else(|| Failure::no_stream(&name))
}

#[utoipa::path(
    patch, path = "/api/v1/streams/{name}", tag = "streams", params(OfOneStream), request_body = Changes,
    responses(
        (status = 200, description = "How the stream is now.", body = StreamState),
        (status = 404, description = "There is no such stream.", body = super::Complaint),
        Documented, Guarded,
    )
)]
/// Changes some keys of a stream. How it explains and looks changes in flight; for the rest it is started anew.
pub async fn change(
    State(shared): State<Shared>,
    name: Result<Path<String>, PathRejection>,
    Document(changes): Document,
) -> Answer<Json<StreamState>> {
    let name = named(name)?;
    let asked = name.clone();
    let changed = shared.ask(move |operations| operations.change(&asked, &changes)).await?;
    changed.map(Json).map_err(|refused| Failure::of(refused, &name))
}

#[utoipa::path(
    delete, path = "/api/v1/streams/{name}", tag = "streams", params(OfOneStream),
    responses(
        (status = 204, description = "It is gone, its files are closed."),
        (status = 404, description = "There is no such stream.", body = super::Complaint),
        Guarded,
    )
)]
/// Ends a stream and forgets it. One that stands in the file comes back with the next reload or start.
pub async fn remove(State(shared): State<Shared>, name: Result<Path<String>, PathRejection>) -> Answer<StatusCode> {
    let name = named(name)?;
    let asked = name.clone();
    let removed = shared.ask(move |operations| operations.remove(&asked)).await?;
    removed.map(|()| StatusCode::NO_CONTENT).map_err(|refused| Failure::of(refused, &name))
}

#[utoipa::path(
    post, path = "/api/v1/reload", tag = "service",
    responses(
        (status = 200, description = "The file is in force.", body = Reloaded),
        (status = 422, description = "The file is wrong; the old configuration goes on.", body = super::Complaint),
        Guarded,
    )
)]
/// Reads the configuration again, as SIGHUP does.
pub async fn reload(State(shared): State<Shared>) -> Answer<Json<Reloaded>> {
    let reloaded = shared.ask(|operations| operations.reload()).await?;
    let from_next_start = reloaded.map_err(|faults| Failure::faults("the configuration", faults))?;
    Ok(Json(Reloaded { from_next_start }))
}

#[utoipa::path(
    get, path = "/api/v1/options", tag = "service",
    responses((status = 200, description = "What can be chosen from.", body = Options), Guarded)
)]
/// Methods, colour maps and labels to choose from, and the version.
pub async fn options(State(shared): State<Shared>) -> Answer<Json<Options>> {
    let offer = shared.ask(|operations| operations.offer()).await?;
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Ok(Json(Options { version, methods: offer.methods, colour_maps: offer.colour_maps, labels: offer.labels }))
}
