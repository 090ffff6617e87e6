//! `GET /`: where to find what the gateway offers, as JSON or, for browsers, as a page.

use crate::access::Client;
use crate::app::App;
use crate::console;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::{HeaderMap, HeaderValue, header};
use serde_json::json;
use std::sync::Arc;

const HTML: &str = "text/html";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The paths that programs are pointed to, by name.
const POINTERS: [(&str, &str); 6] = [
    ("console", "/console"),
    ("models", "/v1/models"),
    ("documentation", "/openapi.json"),
    ("health", "/health"),
    ("ready", "/ready"),
    ("metrics", "/metrics"),
];

/// The page. It loads nothing, so the console's policy for content suffices.
const PAGE: &str = "\
<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<meta name=\"color-scheme\" content=\"light dark\">
<title>HausKI</title>
<h1>HausKI</h1>
<p>A local-first gateway for language models.</p>
<ul>
<li><a href=\"/console\">Console</a></li>
<li><a href=\"/v1/models\">Models</a></li>
<li><a href=\"/openapi.json\">Documentation of the API (OpenAPI)</a></li>
<li><a href=\"/health\">Health</a>, <a href=\"/ready\">readiness</a>, <a href=\"/metrics\">metrics</a></li>
</ul>
</html>
";

/// Answers with pointers. Where there are keys, the version is for clients that show one.
pub(crate) async fn root(
    State(app): State<App>,
    client: Option<Extension<Arc<Client>>>,
    headers: HeaderMap,
) -> Response {
    let mut response = if accepts_html(&headers) {
        console::answer("text/html; charset=utf-8", PAGE)
    } else {
        let may_know = client.is_some() || app.gateway.access.keyring().is_none();
        let mut pointers = json!({ "name": "HausKI" });
        if may_know {
            pointers["version"] = json!(VERSION);
        }
        for (name, path) in POINTERS {
            pointers[name] = json!(path);
        }
        Json(pointers).into_response()
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

/// Returns whether the client is a browser: programs accept anything, and name no page.
fn accepts_html(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.any(|value| value.split(',').filter_map(|kind| kind.split(';').next()).any(|kind| kind.trim() == HTML))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_html_is_true_for_browsers_only() {
        for (accept, expected) in [
            (&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"][..], true),
            (&["application/json", "text/html;q=0.9"], true),
            (&["*/*"], false),
            (&["application/json, text/plain, */*"], false),
            (&["text/htmlx"], false),
            (&[], false),
        ] {
            let headers = accept.iter().map(|value| (header::ACCEPT, HeaderValue::from_static(value))).collect();
            assert_eq!(accepts_html(&headers), expected, "{accept:?}");
        }
    }
}
