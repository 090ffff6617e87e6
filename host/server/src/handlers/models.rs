//! `GET /v1/models` and `GET /v1/models/{id}`: what can be asked now: models, and the routes over them. OpenAI's API and Anthropic's
//! have the same paths for it; who sends `anthropic-version` is answered in Anthropic's form.

use crate::access::Client;
use crate::app::App;
use crate::error::ApiError;
use crate::form;
use crate::view::{Served, View, shown};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::{Extension, Json};
use hauski_policy::{Locality, Route};
use http::HeaderMap;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

/// Whose request it is, where keys are asked for.
type Asks = Option<Extension<Arc<Client>>>;

/// All of them; `hauski` says what answers and whether the prompt stays on this machine.
pub(crate) async fn models(State(app): State<App>, client: Asks, headers: HeaderMap) -> Json<Value> {
    let (view, anthropics) = (app.gateway.view(), form::says_so(&headers));
    let names = view.names_served();
    let names = names.iter().filter(|name| may_ask(&client, name));
    let data: Vec<_> = names.filter_map(|name| entry(&app, &view, name, anthropics)).collect();
    Json(if anthropics {
        let id = |entry: Option<&Value>| entry.map(|entry| entry["id"].clone());
        let (first_id, last_id) = (id(data.first()), id(data.last()));
        json!({ "data": data, "has_more": false, "first_id": first_id, "last_id": last_id })
    } else {
        json!({ "object": "list", "data": data })
    })
}

/// One of them. Ids may hold slashes.
pub(crate) async fn model(
    State(app): State<App>,
    client: Asks,
    headers: HeaderMap,
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
    entry(&app, &app.gateway.view(), &id, form::says_so(&headers)).map(Json).ok_or_else(missing)
}

fn may_ask(client: &Asks, name: &str) -> bool {
    client.as_ref().is_none_or(|client| client.may_ask(name))
}

/// What is told of a model or a route. A route takes the place of a model with the same name.
fn entry(app: &App, view: &View, name: &str, anthropics: bool) -> Option<Value> {
    let (owner, hauski) = match view.route(name) {
        Some(route) => ("hauski", of_route(view, route)?),
        None => {
            let served = view.served(name)?;
            (served.adapter.profile().id.as_str(), of_model(served))
        }
    };
    // When a model was made is not known here; since then it can be asked.
    let created = Timestamp::try_from(app.gateway.started).unwrap_or_default().as_second();
    Some(if anthropics {
        let created = Timestamp::from_second(created).unwrap_or_default().to_string();
        json!({ "type": "model", "id": name, "display_name": name, "created_at": created, "hauski": hauski })
    } else {
        json!({ "id": name, "object": "model", "created": created, "owned_by": owner, "hauski": hauski })
    })
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
