//! Who may ask: the token, and without one protection from other sites' pages in the browser of somebody who may.
//!
//! A page of another site can send requests to us from an operator's browser, though it cannot read the answers. So what changes something
//! has to come from our own page or from no page. And a name of another site may be made to point at a loopback address (DNS rebinding), so
//! that its page would be our own in the browser's eyes; but it would still say its own name as host.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::answer::{Answer, Failure};
use super::login;
use super::routes::Shared;
use crate::secret::Secret;

/// What the page may load and who may show it: itself, nobody. Previews are blobs.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; form-action 'self'; \
    base-uri 'none'; frame-ancestors 'none'";

/// On every answer.
const HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    // With no-referrer, a form's Origin would be null.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-site"),
    (header::CACHE_CONTROL, "no-store"),
    (header::SERVER, "gradcast"),
];

/// Rules for requests.
pub struct Guard {
    token: Option<Token>,
    /// Without a token, on a loopback address: hosts that requests may name.
    hosts: Option<Vec<String>>,
}

struct Token {
    itself: Secret,
    /// What the browser keeps instead: who reads it there does not know the token.
    cookie: Secret,
    /// Browsers send cookies to all ports of a host.
    cookie_name: String,
}

impl Guard {
    /// `asked` is the address of the settings, `address` the one with the port that was taken.
    pub fn new(asked: SocketAddr, address: SocketAddr, token: Option<Secret>) -> Self {
        let token = token.map(|itself| {
            let digest = Sha256::new().chain_update("gradcast cookie ").chain_update(itself.reveal()).finalize();
            let cookie = Secret::new(digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
            Token { itself, cookie, cookie_name: format!("gradcast-{}", address.port()) }
        });
        let hosts = (token.is_none() && address.ip().is_loopback()).then(|| vec!["localhost".to_owned(), asked.ip().to_string()]);
        Guard { token, hosts }
    }

    /// Whether there is a token at all.
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// The cookie for who gives the right token: name and value.
    pub fn cookie_for(&self, token: &str) -> Option<(&str, &str)> {
        let own = self.token.as_ref()?;
        own.itself.matches(token).then(|| (own.cookie_name.as_str(), own.cookie.reveal()))
    }

    /// The cookie's name.
    pub fn cookie_name(&self) -> Option<&str> {
        self.token.as_ref().map(|token| token.cookie_name.as_str())
    }

    fn check(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Answer<()> {
        if uri.path().starts_with("/-/") {
            return Ok(());
        }
        if let Some(hosts) = &self.hosts {
            is_own_host(hosts, uri, headers)?;
        }
        let bearer = self.token.as_ref().is_some_and(|token| token.is_bearer(headers));
        if method.is_safe() || bearer {
            // No page of another site can send the header.
        } else {
            is_from_own_page(headers)?;
        }
        match &self.token {
            Some(token) if !(bearer || token.is_in_cookie(headers) || login::is_open(uri.path())) => Err(Failure::new(
                StatusCode::UNAUTHORIZED,
                "this needs the token: send the header `Authorization: Bearer TOKEN`, or log in at /login",
            )),
            _ => Ok(()),
        }
    }
}

impl Token {
    fn is_bearer(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| value.split_once(' '));
        given.is_some_and(|(scheme, token)| scheme.eq_ignore_ascii_case("bearer") && self.itself.matches(token.trim()))
    }

    fn is_in_cookie(&self, headers: &HeaderMap) -> bool {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
        pairs.any(|(name, value)| name == self.cookie_name && self.cookie.matches(value))
    }
}

/// The host of `host:port`, without the brackets of an IPv6 address.
fn without_port(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    }
}

fn is_own_host(hosts: &[String], uri: &Uri, headers: &HeaderMap) -> Answer<()> {
    let said =
        uri.authority().map(|authority| authority.as_str()).or_else(|| headers.get(header::HOST).and_then(|host| host.to_str().ok()));
    // No browser leaves it out.
    let Some(host) = said.map(without_port) else { return Ok(()) };
    let loopback = host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match loopback || hosts.iter().any(|own| own.eq_ignore_ascii_case(host)) {
        true => Ok(()),
        false => Err(Failure::new(
            StatusCode::FORBIDDEN,
            format!(
                "the host {host:?} is none of this machine's loopback names; without a token only those are answered: ask for localhost, or \
                 set [http] token_file"
            ),
        )),
    }
}

fn is_from_own_page(headers: &HeaderMap) -> Answer<()> {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    let own = match (text(HeaderName::from_static("sec-fetch-site")), text(header::ORIGIN)) {
        // The browser has compared already, and knows of proxies between.
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            authority.is_some() && authority.map(str::to_ascii_lowercase) == text(header::HOST).map(str::to_ascii_lowercase)
        }
        (None, None) => true,
    };
    match own {
        true => Ok(()),
        false => Err(Failure::new(
            StatusCode::FORBIDDEN,
            "this request comes from another site's page; only our own page may change something (behind a proxy: let it pass on Host)",
        )),
    }
}

/// Lets through who may ask, and puts the headers on every answer.
pub async fn guard(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let mut response = match shared.guard().check(request.method(), request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(failure) if failure.status == StatusCode::UNAUTHORIZED && request.uri().path() == "/" => login::asked(false),
        Err(failure) => failure.into_response(),
    };
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(listen: &str, token: Option<&str>) -> Guard {
        let address = listen.parse().unwrap();
        Guard::new(address, address, token.map(Secret::new))
    }

    fn status(guard: &Guard, method: Method, path: &str, headers: &[(&'static str, &str)]) -> u16 {
        let pairs = headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
        match guard.check(&method, &path.parse().unwrap(), &pairs.collect()) {
            Ok(()) => 200,
            Err(failure) => failure.status.as_u16(),
        }
    }

    #[test]
    fn without_a_token_only_loopback_names_are_hosts() {
        let own = guard("127.0.0.1:9464", None);
        for host in ["localhost:9464", "LOCALHOST", "127.0.0.1:9464", "127.0.0.2", "[::1]:9464", "localhost:1"] {
            assert_eq!(status(&own, Method::GET, "/", &[("host", host)]), 200, "{host}");
        }
        for host in ["evil.example:9464", "localhost.evil.example", "10.0.0.1", "", "127.0.0.1.evil.example"] {
            assert_eq!(status(&own, Method::GET, "/", &[("host", host)]), 403, "{host}");
            assert_eq!(status(&own, Method::GET, "/-/healthy", &[("host", host)]), 200, "{host}");
            assert_eq!(status(&guard("0.0.0.0:9464", None), Method::GET, "/", &[("host", host)]), 200, "{host}");
        }
        assert_eq!(status(&own, Method::GET, "http://evil.example/", &[("host", "localhost")]), 403);
    }

    #[test]
    fn pages_of_other_sites_change_nothing() {
        let host = ("host", "localhost:9464");
        let tries: [(u16, &[(&'static str, &str)]); 8] = [
            (200, &[host]),
            (200, &[host, ("origin", "http://localhost:9464")]),
            (403, &[host, ("origin", "http://localhost:3000")]),
            (403, &[host, ("origin", "null")]),
            (403, &[host, ("sec-fetch-site", "cross-site")]),
            (403, &[host, ("sec-fetch-site", "same-site"), ("origin", "http://localhost:9464")]),
            (200, &[host, ("sec-fetch-site", "same-origin"), ("origin", "https://cameras.example")]),
            (200, &[host, ("sec-fetch-site", "none")]),
        ];
        for (expected, headers) in tries {
            let own = guard("127.0.0.1:9464", None);
            for method in [Method::POST, Method::PATCH, Method::DELETE] {
                assert_eq!(status(&own, method, "/api/v1/streams", headers), expected, "{headers:?}");
            }
            assert_eq!(status(&own, Method::GET, "/api/v1/streams", headers), 200, "{headers:?}");
        }
    }

    #[test]
    fn with_a_token_it_is_in_the_header_or_a_cookie() {
        let own = guard("127.0.0.1:9464", Some("opensesame"));
        let (name, value) = own.cookie_for("opensesame").unwrap();
        assert!(own.cookie_for("opensesam").is_none() && !value.contains("opensesame") && value.len() == 64);
        let cookie = format!("a=b; {name}={value}");
        let (wrong, other) = (format!("{name}={value}0"), format!("x{name}={value}"));
        for path in ["/", "/metrics", "/api/v1/streams", "/nothing", "/page/main.js"] {
            assert_eq!(status(&own, Method::GET, path, &[]), 401, "{path}");
            assert_eq!(status(&own, Method::GET, path, &[("authorization", "Bearer opensesame")]), 200, "{path}");
            assert_eq!(status(&own, Method::GET, path, &[("authorization", "bearer  opensesame")]), 200, "{path}");
            assert_eq!(status(&own, Method::GET, path, &[("authorization", "Bearer opensesame2")]), 401, "{path}");
            assert_eq!(status(&own, Method::GET, path, &[("authorization", "Basic opensesame")]), 401, "{path}");
            assert_eq!(status(&own, Method::GET, path, &[("cookie", &cookie)]), 200, "{path}");
            assert_eq!(status(&own, Method::GET, path, &[("cookie", &wrong)]), 401, "{path}");
            assert_eq!(status(&own, Method::GET, path, &[("cookie", &other)]), 401, "{path}");
        }
        for path in ["/-/healthy", "/-/ready", "/login"] {
            assert_eq!(status(&own, Method::GET, path, &[]), 200, "{path}");
        }
        // A cookie goes with every request of a browser, so it does not show who asks; the header does.
        let evil = ("origin", "http://evil.example");
        assert_eq!(status(&own, Method::DELETE, "/api/v1/streams/a", &[("cookie", &cookie), evil]), 403);
        assert_eq!(status(&own, Method::DELETE, "/api/v1/streams/a", &[("authorization", "Bearer opensesame"), evil]), 200);
        assert_eq!(status(&own, Method::POST, "/login", &[evil]), 403);
    }
}
