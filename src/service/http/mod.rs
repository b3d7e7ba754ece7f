//! HTTP: metrics, health, the API, its OpenAPI document, live pictures and the page, all in front of [`Operations`].
//!
//! Nothing here knows how streams run. A call that may wait goes to the runtime's blocking threads; pictures and states are always the newest
//! that there are, so that who reads slowly skips and holds up nobody. Every answer that is no success is [`Complaint`] as JSON, but for
//! `/-/healthy` and `/-/ready`, which answer in plain text.
//!
//! [`Operations`]: super::Operations

mod answer;
mod document;
mod events;
mod guard;
mod listening;
mod login;
mod openapi;
mod page;
mod patience;
mod previews;
mod probes;
mod routes;
mod streams;

pub use answer::Complaint;
pub use listening::{Limits, Listening};
pub use openapi::document as openapi_document;
pub use routes::PATHS;
