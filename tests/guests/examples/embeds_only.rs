//! Serves embeddings and nothing else: a model in the list of those that can chat it is not.

use hauski_adapter_sdk::{Adapter, Description, EmbeddingRequest, Embeddings, Error, Json};

struct EmbedsOnly;

hauski_adapter_sdk::export!(EmbedsOnly: embeddings);

impl Adapter for EmbedsOnly {
    fn describe() -> Description {
        Description::new("embeds-only", env!("CARGO_PKG_VERSION"), "serves embeddings and nothing else")
    }

    fn models() -> Result<Vec<Json>, Error> {
        Ok(vec![r#"{"id":"embeds-only","object":"model"}"#.into()])
    }
}

impl Embeddings for EmbedsOnly {
    fn embed(_request: EmbeddingRequest) -> Result<Json, Error> {
        Ok(r#"{"object":"list","data":[]}"#.into())
    }
}
