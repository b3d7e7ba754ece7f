//! JSON documents that come in.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use serde_json::Value;
use tokio::time::timeout;
use tokio_stream::StreamExt;

use super::super::settings::Faults;
use super::answer::{Answer, Failure};
use super::listening::Limits;
use super::routes::Shared;

/// So much more than allowed is read and thrown away, so that who sent it is still there to read the answer.
const PATIENCE: usize = 16;

/// The JSON object that is a request's body.
pub struct Document(pub Value);

impl FromRequest<Shared> for Document {
    type Rejection = Failure;

    async fn from_request(request: Request, shared: &Shared) -> Answer<Self> {
        if !is_json(&request) {
            return Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send JSON, with the header `Content-Type: application/json`"));
        }
        let bytes = body(request.into_body(), shared.limits()).await?;
        let value: Value = serde_json::from_slice(&bytes)
            .map_err(|error| Failure::new(StatusCode::BAD_REQUEST, format!("the body is no JSON: {error}")))?;
        if !value.is_object() {
            return Err(Failure::faults("the document", Faults(vec!["the document is no object: send {\"key\": value, …}".into()])));
        }
        Ok(Document(value))
    }
}

fn is_json(request: &Request) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

/// All of a body, within the limits of size and time.
pub async fn body(body: Body, limits: &Limits) -> Answer<Vec<u8>> {
    let late = || Failure::new(StatusCode::REQUEST_TIMEOUT, format!("the body did not come within {:?}", limits.body));
    timeout(limits.body, collect(body, limits.body_bytes)).await.map_err(|_| late())?
}

async fn collect(body: Body, most_bytes: usize) -> Answer<Vec<u8>> {
    let mut chunks = body.into_data_stream();
    let (mut bytes, mut seen) = (Vec::new(), 0);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| Failure::new(StatusCode::BAD_REQUEST, format!("the body broke off: {error}")))?;
        seen += chunk.len();
        if seen <= most_bytes {
            bytes.extend_from_slice(&chunk);
        } else if seen > PATIENCE * most_bytes {
            break;
        }
    }
    match seen <= most_bytes {
        true => Ok(bytes),
        false => Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {most_bytes} bytes"))),
    }
}
