//! The form that asks for the token, and the cookie that it leaves.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use super::answer::Answer;
use super::document::body;
use super::page;
use super::routes::Shared;

/// So long a browser stays logged in, in seconds: thirty days.
const KEPT_SECONDS: u32 = 30 * 24 * 3600;

/// What is served to whom has no token yet: the form, and what it looks like.
pub fn is_open(path: &str) -> bool {
    matches!(path, "/login" | "/page/style.css" | "/page/icon.svg")
}

/// The form. 401, since it stands where something else was asked for.
pub fn asked(again: bool) -> Response {
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer realm=\"gradcast\"")], Html(page::login(again))).into_response()
}

/// The form at its own address.
pub async fn form(State(shared): State<Shared>) -> Response {
    match shared.guard().has_token() {
        true => Html(page::login(false)).into_response(),
        false => to("./"),
    }
}

/// The form's answer: `token=…`.
pub async fn enter(State(shared): State<Shared>, request: Request) -> Answer<Response> {
    let secure = is_behind_tls(request.headers());
    let body = body(request.into_body(), shared.limits()).await?;
    let token = url::form_urlencoded::parse(&body).find(|(key, _)| key == "token").map(|(_, token)| token);
    let guard = shared.guard();
    if !guard.has_token() {
        return Ok(to("./"));
    }
    Ok(match token.and_then(|token| guard.cookie_for(token.trim())) {
        Some((name, value)) => with_cookie(to("./"), name, value, KEPT_SECONDS, secure),
        None => {
            tracing::warn!("somebody gave a wrong token at /login");
            asked(true)
        }
    })
}

/// Forgets the cookie.
pub async fn leave(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    match shared.guard().cookie_name() {
        Some(name) => with_cookie(to("login"), name, "", 0, is_behind_tls(&headers)),
        None => to("./"),
    }
}

/// As a proxy says it. Who lies there only gets a cookie that is sent more rarely.
fn is_behind_tls(headers: &HeaderMap) -> bool {
    headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https")
}

/// A relative address, so that a proxy may serve all this below a path of its own.
fn to(address: &'static str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, address)]).into_response()
}

fn with_cookie(mut response: Response, name: &str, value: &str, seconds: u32, secure: bool) -> Response {
    let secure = if secure { "; Secure" } else { "" };
    let cookie = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    let cookie = HeaderValue::from_str(&cookie).expect("a cookie of letters, digits and signs");
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    response
}
