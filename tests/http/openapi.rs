//! The OpenAPI document says all that is served, and nothing else.

use std::collections::BTreeSet;

use gradcast::service::http::{PATHS, openapi_document};
use serde_json::Value;

use crate::client::{get, request};
use crate::fake_service::{Fake, Served};

/// The page's, for people.
const OF_THE_PAGE: [&str; 4] = ["/", "/page/{file}", "/login", "/logout"];

fn document() -> Value {
    let served = Served::new(Fake::with(&[]), None);
    let document = get(served.address, "/api/v1/openapi.json").json();
    assert_eq!(document, openapi_document());
    document
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

#[test]
fn what_is_served_is_documented_and_what_is_documented_is_served() {
    let document = document();
    let api: BTreeSet<String> = PATHS.into_iter().filter(|path| !OF_THE_PAGE.contains(path)).map(str::to_owned).collect();
    assert_eq!(keys(&document["paths"]), api);

    let served = Served::new(Fake::with(&["front"]), None);
    for path in &api {
        let answer = request(served.address, "OPTIONS", &path.replace("{name}", "front"), &[], "");
        assert_eq!(answer.status, 405, "{path}");
        let allowed: BTreeSet<String> = answer.header("allow").unwrap().split(',').map(str::to_lowercase).filter(|m| m != "head").collect();
        assert_eq!(keys(&document["paths"][path]), allowed, "{path}");
    }
}

#[test]
fn every_operation_has_its_statuses_and_the_form_of_its_errors() {
    let document = document();
    let all = ["401", "403", "503"];
    let expected: [(&str, &str, &str, &[&str]); 15] = [
        ("/metrics", "get", "200", &all),
        ("/-/healthy", "get", "200", &["503"]),
        ("/-/ready", "get", "200", &["503"]),
        ("/api/v1/streams", "get", "200", &all),
        ("/api/v1/streams", "post", "201", &["400", "401", "403", "408", "409", "413", "415", "422", "503"]),
        ("/api/v1/streams/{name}", "get", "200", &["401", "403", "404", "503"]),
        ("/api/v1/streams/{name}", "patch", "200", &["400", "401", "403", "404", "408", "413", "415", "422", "503"]),
        ("/api/v1/streams/{name}", "delete", "204", &["401", "403", "404", "503"]),
        ("/api/v1/streams/{name}/preview.jpg", "get", "200", &["401", "403", "404", "503"]),
        ("/api/v1/streams/{name}/preview.mjpeg", "get", "200", &["401", "403", "404", "503"]),
        ("/api/v1/previews", "get", "200", &["400", "401", "403", "503"]),
        ("/api/v1/events", "get", "200", &all),
        ("/api/v1/options", "get", "200", &all),
        ("/api/v1/reload", "post", "200", &["401", "403", "422", "503"]),
        ("/api/v1/openapi.json", "get", "200", &all),
    ];
    let operations: usize = document["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len()).sum();
    assert_eq!(operations, expected.len());
    for (path, method, done, failed) in expected {
        let operation = &document["paths"][path][method];
        let statuses: BTreeSet<String> = failed.iter().chain([&done]).map(|status| (*status).to_owned()).collect();
        assert_eq!(keys(&operation["responses"]), statuses, "{method} {path}");
        assert!(operation["summary"].is_string(), "{method} {path}");
        for status in failed.iter().filter(|_| !path.starts_with("/-/")) {
            let schema = &operation["responses"][status]["content"]["application/json"]["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/Complaint", "{method} {path} {status}");
        }
    }
}

#[test]
fn references_lead_somewhere() {
    fn visit(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(object) => {
                found.extend(object.get("$ref").and_then(Value::as_str).map(str::to_owned));
                object.values().for_each(|value| visit(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| visit(value, found)),
            _ => {}
        }
    }
    let document = document();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    let mut references = BTreeSet::new();
    visit(&document, &mut references);
    assert!(references.len() >= 6, "{references:?}");
    for reference in references {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
    assert_eq!(document["security"], serde_json::json!([{}, {"token": []}, {"cookie": []}]));
    assert_eq!(keys(&document["components"]["securitySchemes"]), ["cookie".to_owned(), "token".to_owned()].into());
}
