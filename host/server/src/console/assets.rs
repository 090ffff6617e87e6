//! What the page is made of besides its text, and the headers that keep it to that: nothing from elsewhere, nothing inline.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, header};

/// All that the page may do: its own files, and questions to this gateway. `require-trusted-types-for` has the browser refuse text as
/// markup anywhere but at the one place in `morph.js` that is named `console`.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
                      trusted-types console";

const HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    // What is shown is of the moment, and not for other accounts' eyes.
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

/// Returns an answer with the headers that all of the console's pages have.
pub(crate) fn answer(content_type: &'static str, body: impl IntoResponse) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

pub(super) async fn css() -> Response {
    answer("text/css; charset=utf-8", include_str!("assets/console.css"))
}

pub(super) async fn parts_css() -> Response {
    answer("text/css; charset=utf-8", include_str!("assets/parts.css"))
}

pub(super) async fn console_js() -> Response {
    answer(SCRIPT, include_str!("assets/console.js"))
}

pub(super) async fn morph_js() -> Response {
    answer(SCRIPT, include_str!("assets/morph.js"))
}

pub(super) async fn chat_js() -> Response {
    answer(SCRIPT, include_str!("assets/chat.js"))
}

pub(super) async fn icon() -> Response {
    answer("image/svg+xml", include_str!("assets/icon.svg"))
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
