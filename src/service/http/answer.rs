//! What is answered when something cannot be done.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::operations::Refused;
use super::super::settings::Faults;

/// The body of every answer that is no success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Complaint {
    /// What is wrong, and what to do.
    #[schema(example = "there is no stream \"front\"")]
    pub error: String,
    /// All that is wrong with a document, one a line; empty where the document is not the matter.
    pub faults: Vec<String>,
}

/// An answer that is no success.
#[derive(Debug)]
pub struct Failure {
    pub status: StatusCode,
    pub complaint: Complaint,
}

pub type Answer<T> = Result<T, Failure>;

impl Failure {
    pub fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Failure { status, complaint: Complaint { error: error.into(), faults: Vec::new() } }
    }

    pub fn no_stream(name: &str) -> Self {
        Failure::new(StatusCode::NOT_FOUND, format!("there is no stream {name:?}"))
    }

    pub fn not_now() -> Self {
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, "the service is starting or ending; ask again in a moment")
    }

    pub fn faults(what: &str, faults: Faults) -> Self {
        let error = match faults.0.len() {
            1 => format!("{what} has a fault; nothing was changed"),
            count => format!("{what} has {count} faults; nothing was changed"),
        };
        Failure { status: StatusCode::UNPROCESSABLE_ENTITY, complaint: Complaint { error, faults: faults.0 } }
    }

    /// Of a request about the stream of this name.
    pub fn of(refused: Refused, name: &str) -> Self {
        match refused {
            Refused::Unknown => Failure::no_stream(name),
            Refused::Exists => {
                Failure::new(StatusCode::CONFLICT, format!("there is a stream {name:?} already; change it, or take another name"))
            }
            Refused::Faults(faults) => Failure::faults("the document", faults),
            Refused::NotNow => Failure::not_now(),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.complaint)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"gradcast\""));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
