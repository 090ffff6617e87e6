//! `GET /v1/models` and `GET /v1/models/{id}`: what can be asked now: models, and the routes over them.

use crate::access::Client;
use crate::app::App;
use crate::error::ApiError;
use crate::view::{Served, View, shown};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::{Extension, Json};
use hauski_policy::{Locality, Route};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

/// Whose request it is, where keys are asked for.
type Asks = Option<Extension<Arc<Client>>>;

/// OpenAI's list of models; `hauski` says what answers and whether the prompt stays on this machine.
pub(crate) async fn models(State(app): State<App>, client: Asks) -> Json<Value> {
    let view = app.gateway.view();
    let names = app.gateway.names_served(&view);
    let names = names.iter().filter(|name| may_ask(&client, name));
    let data: Vec<_> = names.filter_map(|name| entry(&app, &view, name)).collect();
    Json(json!({ "object": "list", "data": data }))
}

/// One of them. Ids may hold slashes.
pub(crate) async fn model(
    State(app): State<App>,
    client: Asks,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, ApiError> {
    let Ok(Path(id)) = id else {
        return Err(ApiError::model_not_found("the model's name in the path is not UTF-8; no model has such a name"));
    };
    let missing = || {
        ApiError::model_not_found(format!(
            "there is no model `{}` that can be asked; `GET /v1/models` lists those that can",
            shown(&id)
        ))
    };
    if !may_ask(&client, &id) {
        return Err(missing());
    }
    entry(&app, &app.gateway.view(), &id).map(Json).ok_or_else(missing)
}

fn may_ask(client: &Asks, name: &str) -> bool {
    client.as_ref().is_none_or(|client| client.may_ask(name))
}

/// What is told of a model or a route. A route takes the place of a model with the same name.
fn entry(app: &App, view: &View, name: &str) -> Option<Value> {
    let created = app.gateway.started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (owner, hauski) = match view.route(name) {
        Some(route) => ("hauski", of_route(view, route)?),
        None => {
            let served = view.served(name)?;
            (served.adapter.profile().id.as_str(), of_model(served))
        }
    };
    Some(json!({ "id": name, "object": "model", "created": created, "owned_by": owner, "hauski": hauski }))
}

fn of_model(served: &Served) -> Value {
    let profile = served.adapter.profile();
    let serves = &profile.description.serves;
    json!({ "adapter": profile.id, "digest": profile.digest, "locality": served.locality.as_str(), "serves": serves })
}

/// A route is local if all of its models are.
fn of_route(view: &View, route: &Route) -> Option<Value> {
    let served: Vec<_> = route.candidates.iter().filter_map(|one| view.served(&one.model)).collect();
    let serves = &served.first()?.adapter.profile().description.serves;
    let local = served.iter().all(|one| one.locality == Locality::Local);
    let locality = if local { Locality::Local } else { Locality::Cloud };
    let models: Vec<_> = served.iter().map(|one| &one.model).collect();
    Some(json!({ "route": models, "locality": locality.as_str(), "serves": serves }))
}
