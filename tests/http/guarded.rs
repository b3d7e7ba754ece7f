//! The token, the log-in form, other sites' pages, and the headers that keep the page to itself.

use std::collections::BTreeSet;

use gradcast::service::http::{Limits, PATHS};

use crate::client::{Answer, get, request, send};
use crate::fake_service::{Fake, Served, settings};

const TOKEN: &str = "opensesame-0123456789";

fn guarded() -> Served {
    Served::new(Fake::with(&["front"]), Some(TOKEN))
}

fn log_in(served: &Served, token: &str) -> Answer {
    request(served.address, "POST", "/login", &["Content-Type: application/x-www-form-urlencoded"], &format!("token={token}"))
}

fn cookie(answer: &Answer) -> String {
    format!("Cookie: {}", answer.header("set-cookie").unwrap().split(';').next().unwrap())
}

#[test]
fn with_a_token_all_but_health_needs_it() {
    let served = guarded();
    for path in PATHS {
        let path = path.replace("{name}", "front").replace("{file}", "main.js");
        let open = ["/-/healthy", "/-/ready", "/login"].contains(&path.as_str());
        let answer = get(served.address, &path);
        assert_eq!(answer.status, if open { 200 } else { 401 }, "{path}");
        assert_eq!(answer.header("www-authenticate"), (!open).then_some("Bearer realm=\"gradcast\""), "{path}");
    }
    assert!(get(served.address, "/metrics").error().contains("Authorization: Bearer"));
    assert_eq!(send(served.address, "PATCH", "/api/v1/streams/front", "{}").status, 401);
    let bearer = format!("Authorization: Bearer {TOKEN}");
    assert_eq!(request(served.address, "GET", "/metrics", &[&bearer], "").status, 200);
    assert_eq!(request(served.address, "GET", "/metrics", &[&(bearer + "x")], "").status, 401);
}

#[test]
fn the_form_leaves_a_cookie_that_is_not_the_token() {
    let served = guarded();
    let page = get(served.address, "/");
    assert_eq!((page.status, page.header("content-type")), (401, Some("text/html; charset=utf-8")));
    assert!(page.text().contains("<form") && page.text().contains("type=\"password\""), "{}", page.text());

    let wrong = log_in(&served, "sesame");
    assert_eq!((wrong.status, wrong.header("set-cookie")), (401, None));
    assert!(wrong.text().contains("This is not the token."));
    assert_eq!(request(served.address, "POST", "/login", &[], "").status, 401);
    assert_eq!(request(served.address, "POST", "/login", &[], &"x".repeat(100_000)).status, 413);

    let entered = log_in(&served, TOKEN);
    assert_eq!((entered.status, entered.header("location")), (303, Some("./")));
    let set = entered.header("set-cookie").unwrap();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(set.contains(part), "{set}");
    }
    assert!(!set.contains(TOKEN) && !set.contains("Secure"), "{set}");
    let cookie = cookie(&entered);
    assert_eq!(request(served.address, "GET", "/", &[&cookie], "").status, 200);
    assert_eq!(request(served.address, "GET", "/api/v1/streams", &[&cookie], "").status, 200);
    let left = request(served.address, "POST", "/logout", &[&cookie], "");
    assert!(left.status == 303 && left.header("set-cookie").unwrap().contains("Max-Age=0"), "{left:?}");

    let behind_tls = request(served.address, "POST", "/login", &["X-Forwarded-Proto: https"], &format!("token={TOKEN}"));
    assert!(behind_tls.header("set-cookie").unwrap().ends_with("; Secure"), "{behind_tls:?}");
}

#[test]
fn the_cookie_of_another_token_is_worth_nothing() {
    let mine = cookie(&log_in(&guarded(), TOKEN));
    let other = Served::new(Fake::with(&[]), Some("another"));
    let name = format!("gradcast-{}", other.address.port());
    let forged = format!("Cookie: {name}={}", mine.rsplit_once('=').unwrap().1);
    assert_eq!(request(other.address, "GET", "/metrics", &[&forged], "").status, 401);
}

#[test]
fn without_a_token_there_is_nothing_to_log_in_to() {
    let served = Served::new(Fake::with(&[]), None);
    for (method, path) in [("GET", "/login"), ("POST", "/login"), ("POST", "/logout")] {
        let answer = request(served.address, method, path, &[], "");
        assert_eq!((answer.status, answer.header("location"), answer.header("set-cookie")), (303, Some("./"), None), "{method} {path}");
    }
}

#[test]
fn pages_of_other_sites_are_refused() {
    let fake = Fake::with(&["front"]);
    let served = Served::new(fake.clone(), None);
    for header in ["Origin: http://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site"] {
        for (method, path) in [("POST", "/api/v1/reload"), ("POST", "/api/v1/streams"), ("DELETE", "/api/v1/streams/front")] {
            let answer = request(served.address, method, path, &[header, "Content-Type: application/json"], "{}");
            assert_eq!(answer.status, 403, "{header}");
            assert!(answer.error().contains("another site's page"), "{}", answer.error());
        }
    }
    assert!(fake.asked.lock().unwrap().is_empty());
    let own = format!("Origin: http://{}", served.address);
    assert_eq!(request(served.address, "DELETE", "/api/v1/streams/front", &[&own], "").status, 204);
}

#[test]
fn names_that_were_made_to_point_here_are_refused() {
    let ask = |served: &Served, host: &str| {
        let mut connection = crate::client::Connection::open(served.address);
        connection.send(&format!("GET /api/v1/streams HTTP/1.1\r\nHost: {host}\r\n\r\n")).unwrap();
        connection.answer()
    };
    let served = Served::new(Fake::with(&[]), None);
    let answer = ask(&served, "evil.example");
    assert_eq!(answer.status, 403);
    assert!(answer.error().contains("\"evil.example\"") && answer.error().contains("token_file"), "{}", answer.error());
    assert_eq!(ask(&served, "localhost:80").status, 200);
    let mut everywhere = settings(None);
    everywhere.listen = "0.0.0.0:0".parse().unwrap();
    let mut served = Served::start(Fake::with(&[]), &everywhere, Limits::default()).unwrap();
    served.address.set_ip("127.0.0.1".parse().unwrap());
    assert_eq!(ask(&served, "cameras.example").status, 200);
}

#[test]
fn every_answer_has_the_headers_that_keep_the_page_to_itself() {
    let served = Served::new(Fake::with(&["front"]), None);
    let mut policies = BTreeSet::new();
    for path in ["/", "/page/main.js", "/metrics", "/nothing", "/api/v1/streams", "/api/v1/reload", "/login"] {
        let answer = get(served.address, path);
        policies.insert(answer.header("content-security-policy").unwrap().to_owned());
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(answer.header("cross-origin-resource-policy"), Some("same-site"), "{path}");
    }
    let policies: Vec<String> = policies.into_iter().collect();
    assert_eq!(policies.len(), 1);
    for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
        assert!(policies[0].contains(part), "{policies:?}");
    }
    assert!(!policies[0].contains("unsafe"), "{policies:?}");
}
