//! `GET /openapi.json`: what there is, for tools.

use http::{HeaderName, header};

/// The document.
pub(crate) async fn openapi() -> ([(HeaderName, &'static str); 1], &'static str) {
    ([(header::CONTENT_TYPE, "application/json")], crate::openapi::document())
}
