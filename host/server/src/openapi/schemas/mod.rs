//! The schemas: what is checked of requests, and what answers and errors always have.
//!
//! A request's schema says what the gateway itself reads. Whatever else a request holds is the provider's to judge.

#![expect(dead_code, reason = "types to be described; nobody makes values of them")]

pub(super) mod answers;
pub(super) mod blocks;
pub(super) mod chat;
pub(super) mod errors;
pub(super) mod items;
pub(super) mod messages;
pub(super) mod responses;
pub(super) mod tools;
pub(super) mod values;

use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

/// A schema with its name.
pub(super) type Named = (String, RefOr<Schema>);

/// All of them, those that others mention included, some of them several times.
pub(super) fn schemas() -> Vec<Named> {
    let mut all = Vec::new();
    add::<errors::ApiErrorBody>(&mut all);
    add::<errors::MessagesErrorBody>(&mut all);
    add::<chat::ChatCompletionRequest>(&mut all);
    add::<chat::CompletionRequest>(&mut all);
    add::<chat::EmbeddingRequest>(&mut all);
    add::<responses::ResponseRequest>(&mut all);
    add::<messages::MessagesRequest>(&mut all);
    add::<messages::MessagesCountRequest>(&mut all);
    add::<answers::TokenCount>(&mut all);
    add::<answers::ChatCompletion>(&mut all);
    add::<answers::Completion>(&mut all);
    add::<answers::Embeddings>(&mut all);
    add::<answers::Response>(&mut all);
    add::<answers::Message>(&mut all);
    add::<answers::ChatEvent>(&mut all);
    add::<answers::ResponseEvent>(&mut all);
    add::<answers::MessageEvent>(&mut all);
    add::<answers::ModelList>(&mut all);
    add::<answers::Model>(&mut all);
    add::<answers::MessagesModelList>(&mut all);
    add::<answers::MessagesModel>(&mut all);
    add::<answers::Ready>(&mut all);
    add::<answers::AdapterList>(&mut all);
    // Of fields that nobody names, the derived code knows nothing.
    add::<values::Nothing>(&mut all);
    all
}

fn add<T: ToSchema>(all: &mut Vec<Named>) {
    all.push((T::name().into_owned(), T::schema()));
    T::schemas(all);
}
