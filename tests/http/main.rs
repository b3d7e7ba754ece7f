//! The service's HTTP from outside: routes, errors, the token, limits, live answers, the OpenAPI document.

#![allow(clippy::unwrap_used)]

#[path = "../fake_service/mod.rs"]
mod fake_service;

mod client;
mod guarded;
mod limits;
mod live;
mod openapi;
mod routes;
