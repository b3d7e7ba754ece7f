//! The page's files, compiled in.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use super::answer::{Answer, Failure};
use super::routes::Shared;

const INDEX: &str = include_str!("page/index.html");
const LOGIN: &str = include_str!("page/login.html");

const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Name below /page, type, text.
const FILES: [(&str, &str, &str); 8] = [
    ("icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
    ("style.css", CSS, include_str!("page/style.css")),
    ("main.js", SCRIPT, include_str!("page/main.js")),
    ("card.js", SCRIPT, include_str!("page/card.js")),
    ("controls.js", SCRIPT, include_str!("page/controls.js")),
    ("api.js", SCRIPT, include_str!("page/api.js")),
    ("previews.js", SCRIPT, include_str!("page/previews.js")),
    ("format.js", SCRIPT, include_str!("page/format.js")),
];

/// In the log-in form, where a sentence stands after a wrong token.
const WRONG: &str = "<!-- wrong -->";

/// In the page, where there is something to log out of.
const LEAVE: &str = "<!-- log out -->";

/// The page.
pub async fn index(State(shared): State<Shared>) -> Response {
    let leave = r#"<form method="post" action="logout"><button class="plain">Log out</button></form>"#;
    Html(INDEX.replace(LEAVE, if shared.guard().has_token() { leave } else { "" })).into_response()
}

/// One of its files.
pub async fn file(name: Result<Path<String>, PathRejection>) -> Answer<Response> {
    let name = name.map(|Path(name)| name).unwrap_or_default();
    let found = FILES.iter().find(|(known, _, _)| *known == name);
    let (_, kind, text) = found.ok_or_else(|| Failure::new(StatusCode::NOT_FOUND, "the page has no such file"))?;
    Ok(([(header::CONTENT_TYPE, *kind)], *text).into_response())
}

/// The log-in form; `again` after a wrong token.
pub fn login(again: bool) -> String {
    let said = if again { r#"<p class="fault" id="fault" role="alert">This is not the token.</p>"# } else { "" };
    LOGIN.replace(WRONG, said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_used_and_nothing_comes_from_elsewhere() {
        let all = FILES.iter().map(|(_, _, text)| *text).chain([INDEX, LOGIN]).collect::<Vec<_>>().concat();
        for (name, _, _) in FILES {
            assert!(all.contains(&format!("page/{name}")) || all.contains(&format!("./{name}")), "{name} is not used");
        }
        for foreign in ["http://", "https://", "//cdn", "@import", " style=\"", " onclick", "javascript:", "innerHTML"] {
            let found = all.replace("http://www.w3.org/2000/svg", "").contains(foreign);
            assert!(!found, "the page has {foreign}");
        }
        assert!(INDEX.contains(LEAVE));
        assert!(LOGIN.contains(WRONG) && login(true).contains("not the token") && !login(false).contains("not the token"));
    }
}
