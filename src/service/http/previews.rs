//! Live pictures: of one stream as a picture or as motion JPEG, and of many streams over one connection.
//!
//! Each viewer has a feed, which holds the newest picture only. A viewer's next picture is taken when the connection has room for it, so
//! whoever is slow skips pictures.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, Bytes, BytesMut};
use serde::Deserialize;
use tokio::time::timeout;
use tokio_stream::wrappers::WatchStream;
use tokio_stream::{Stream, StreamExt, StreamMap};
use utoipa::IntoParams;

use super::super::operations::Feed;
use super::answer::{Answer, Failure};
use super::openapi::{Guarded, OfOneStream};
use super::routes::Shared;
use super::streams::named;

/// Between the parts of a motion JPEG.
const BOUNDARY: &str = "gradcast";

const MIXED: &str = "multipart/x-mixed-replace; boundary=gradcast";

async fn feed(shared: &Shared, name: &str) -> Answer<Feed> {
    let asked = name.to_owned();
    shared.ask(move |operations| operations.preview(&asked)).await?.ok_or_else(|| Failure::no_stream(name))
}

#[utoipa::path(
    get, path = "/api/v1/streams/{name}/preview.jpg", tag = "pictures", params(OfOneStream),
    responses(
        (status = 200, description = "The newest picture.", body = Vec<u8>, content_type = "image/jpeg"),
        (status = 404, description = "There is no such stream.", body = super::Complaint),
        Guarded,
    )
)]
/// The newest picture of a stream. 503 where there is none within five seconds.
pub async fn still(State(shared): State<Shared>, name: Result<Path<String>, PathRejection>) -> Answer<Response> {
    let name = named(name)?;
    let mut feed = feed(&shared, &name).await?;
    if feed.viewers() == 1 {
        // Nobody has looked so far: what is there may be old, and a new one is on its way.
        feed.pictures.mark_unchanged();
        let _ = timeout(shared.limits().picture / 5, feed.pictures.changed()).await;
    }
    let newest = timeout(shared.limits().picture, feed.pictures.wait_for(|picture| !picture.is_empty())).await;
    let picture = match newest {
        Ok(Ok(picture)) => picture.clone(),
        Ok(Err(_)) => return Err(Failure::no_stream(&name)),
        Err(_) => {
            return Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, format!("the stream {name:?} has no picture yet; ask again later")));
        }
    };
    Ok(([(header::CONTENT_TYPE, "image/jpeg")], picture).into_response())
}

#[utoipa::path(
    get, path = "/api/v1/streams/{name}/preview.mjpeg", tag = "pictures", params(OfOneStream),
    responses(
        (status = 200, description = "Pictures as they come, until the stream is removed or started anew.", body = Vec<u8>,
         content_type = "multipart/x-mixed-replace; boundary=gradcast"),
        (status = 404, description = "There is no such stream.", body = super::Complaint),
        Guarded,
    )
)]
/// Live pictures of a stream as motion JPEG. Who reads slowly skips pictures.
pub async fn motion(State(shared): State<Shared>, name: Result<Path<String>, PathRejection>) -> Answer<Response> {
    let name = named(name)?;
    let parts = pictures(feed(&shared, &name).await?).map(|picture| part(None, &picture));
    live(&shared, MIXED, parts)
}

/// Whose pictures.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// Names, with commas between them; those that are no streams are left out.
    #[param(example = "front,back")]
    streams: String,
}

#[utoipa::path(
    get, path = "/api/v1/previews", tag = "pictures", params(Wanted),
    responses(
        (status = 200, description = "Pictures as they come, until one of the streams is removed or started anew. Each part has its stream's \
          name as `X-Stream`.", body = Vec<u8>,
         content_type = "multipart/x-mixed-replace; boundary=gradcast"),
        (status = 400, description = "`streams` is missing.", body = super::Complaint),
        Guarded,
    )
)]
/// Live pictures of many streams over one connection, since browsers open only six to a server.
pub async fn many(State(shared): State<Shared>, wanted: Result<Query<Wanted>, QueryRejection>) -> Answer<Response> {
    let Query(wanted) =
        wanted.map_err(|_| Failure::new(StatusCode::BAD_REQUEST, "say whose pictures, once: /api/v1/previews?streams=front,back"))?;
    let feeds = shared
        .ask(move |operations| {
            let names = wanted.streams.split(',').filter(|name| !name.is_empty());
            names.filter_map(|name| operations.preview(name).map(|feed| (name.to_owned(), feed))).collect::<Vec<_>>()
        })
        .await?;
    let mut streams = StreamMap::new();
    for (name, feed) in feeds {
        streams.insert(name, pictures(feed).map(Some).chain(tokio_stream::once(None)));
    }
    // A stream that is started anew has another feed: who still wants it asks again.
    live(&shared, MIXED, streams.map_while(|(name, picture)| picture.map(|picture| part(Some(&name), &picture))))
}

/// The pictures of a feed, which is kept for as long as they are looked at.
fn pictures(feed: Feed) -> impl Stream<Item = Bytes> + Unpin + Send + 'static {
    WatchStream::new(feed.pictures.clone()).filter(move |picture| {
        let _kept = &feed;
        !picture.is_empty()
    })
}

/// A part with the delimiter behind it: browsers show a picture when they have seen where it ends.
fn part(stream: Option<&str>, picture: &[u8]) -> Bytes {
    let name = stream.map(|name| format!("X-Stream: {name}\r\n")).unwrap_or_default();
    let head = format!("Content-Type: image/jpeg\r\n{name}Content-Length: {}\r\n\r\n", picture.len());
    let mut bytes = BytesMut::with_capacity(head.len() + picture.len() + BOUNDARY.len() + 6);
    bytes.put(head.as_bytes());
    bytes.put(picture);
    bytes.put(format!("\r\n--{BOUNDARY}\r\n").as_bytes());
    bytes.freeze()
}

/// An answer that goes on until its parts end, the service ends, or the reader goes.
fn live(shared: &Shared, kind: &'static str, parts: impl Stream<Item = Bytes> + Unpin + Send + 'static) -> Answer<Response> {
    let first = tokio_stream::once(Bytes::from(format!("--{BOUNDARY}\r\n")));
    let body = shared.watched(first.chain(parts))?.map(Ok::<_, Infallible>);
    Ok(([(header::CONTENT_TYPE, kind)], Body::from_stream(body)).into_response())
}
