//! The OpenAPI document, made from what the handlers say of themselves.

use axum::Json;
use serde_json::Value;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{IntoParams, IntoResponses, Modify, OpenApi, ToSchema};

use super::answer::Complaint;
use super::{events, previews, probes, streams};

/// The name of a stream in a path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it stands in the document only")]
pub struct OfOneStream {
    /// The stream's name.
    #[param(pattern = "^[A-Za-z0-9_-]{1,64}$", example = "front")]
    name: String,
}

/// What any request may be answered.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it stands in the document only")]
pub enum Guarded {
    /// A token is set and was not sent.
    #[response(status = 401)]
    NoToken(Complaint),
    /// The request comes from another site's page, or asks for a host that is none of ours.
    #[response(status = 403)]
    OtherSite(Complaint),
    /// The service is starting or ending, or too many watch.
    #[response(status = 503)]
    NotNow(Complaint),
}

/// What a request with a document may be answered.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it stands in the document only")]
pub enum Documented {
    /// The body is no JSON.
    #[response(status = 400)]
    NoJson(Complaint),
    /// The body did not come in time.
    #[response(status = 408)]
    Late(Complaint),
    /// The body is larger than 64 KiB.
    #[response(status = 413)]
    TooLarge(Complaint),
    /// The body is not `application/json`.
    #[response(status = 415)]
    OtherType(Complaint),
    /// The document has faults: all of them are listed, and nothing was changed.
    #[response(status = 422)]
    Faulty(Complaint),
}

/// A stream to add: the keys of `[[stream]]` in the configuration file. `source` is an address, a path, or an object with `kind`; the other
/// keys are those of the configuration's reference, and unknown ones are refused.
#[derive(ToSchema)]
#[schema(example = json!({"name": "front", "source": "rtsp://camera.example/stream", "opacity": 0.5}))]
#[expect(dead_code, reason = "it stands in the document only")]
pub struct NewStream {
    /// Unlike all others.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$")]
    name: String,
    /// Where frames come from.
    #[schema(value_type = Source)]
    source: Value,
}

/// Where frames come from.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it stands in the document only")]
pub enum Source {
    /// An address or a path.
    Text(String),
    /// `kind` and its keys.
    Table(SourceTable),
}

/// `kind`, and the keys that it has in the configuration's reference.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it stands in the document only")]
pub struct SourceTable {
    /// rtsp, v4l2, file, …
    kind: String,
}

/// Keys of `[[stream]]` that are to change, with their new values.
#[derive(ToSchema)]
#[schema(example = json!({"opacity": 0.5, "method": "fullgrad"}))]
#[expect(dead_code, reason = "it stands in the document only")]
pub struct Changes {
    /// 0 to 1.
    #[schema(minimum = 0, maximum = 1, required = false)]
    opacity: f64,
    /// One of the options.
    #[schema(required = false)]
    colour_map: String,
    /// What is explained: `argmax`, `hold:0.5`, a label…
    #[schema(required = false)]
    target: String,
    /// One of the options.
    #[schema(required = false)]
    method: String,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "gradcast",
        description = "Live streams with what a network looks at laid over them: their states, pictures and settings.",
        license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT"),
    ),
    paths(
        probes::metrics, probes::healthy, probes::ready,
        streams::list, streams::add, streams::show, streams::change, streams::remove, streams::reload, streams::options,
        previews::still, previews::motion, previews::many,
        events::events, serve,
    ),
    tags(
        (name = "streams", description = "What runs, and how it fares."),
        (name = "pictures", description = "What is to be seen."),
        (name = "service", description = "The process as a whole."),
    ),
    modifiers(&Security),
    // Either, or none where no token is set.
    security((), ("token" = []), ("cookie" = [])),
)]
struct Whole;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut Document) {
        use utoipa::openapi::security::{ApiKey, ApiKeyValue};
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
        let cookie = ApiKeyValue::with_description("gradcast-9464", "What POST /login with the right token sets; the number is the port.");
        components.add_security_scheme("cookie", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    }
}

/// The document.
pub fn document() -> Value {
    serde_json::to_value(Whole::openapi()).expect("the document is plain data")
}

#[utoipa::path(
    get, path = "/api/v1/openapi.json", tag = "service",
    responses((status = 200, description = "This document.", body = Object), Guarded)
)]
/// The API as an OpenAPI document.
pub async fn serve() -> Json<Value> {
    Json(document())
}
