//! `GET /adapters`: what each file of the adapters folder is, imports, may reach and has reached.

use crate::app::App;
use crate::listing::{Listing, timestamp};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

/// The audit of all adapters, and the files that are none with their reasons.
pub(crate) async fn adapters(State(app): State<App>) -> Response {
    let gateway = &app.gateway;
    let view = gateway.view();
    let usages = gateway.watch.usages();
    let listing = Listing::of(&view.adapters, &view.routing.egress, &view.models, &usages, timestamp(gateway.started));
    Json(listing.live(&view.adapters)).into_response()
}
