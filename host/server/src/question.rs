//! What can be asked of a model, each in its provider's name for it.

use crate::chat_request::ChatRequest;
use crate::embedding_request::EmbeddingRequest;
use crate::view::Served;
use hauski_runtime::{self as runtime, Call, CallError, Reply};

/// A question that can be put to one model after the other.
pub(crate) trait Question: Sync {
    /// What a model gives.
    type Answer: Send;

    /// Puts it to `served`.
    fn put(&self, served: &Served, call: Call) -> impl Future<Output = Result<Self::Answer, CallError>> + Send;
}

/// A chat completion as a whole.
pub(crate) struct Whole<'a>(pub(crate) &'a ChatRequest);

impl Question for Whole<'_> {
    type Answer = runtime::Whole;

    async fn put(&self, served: &Served, call: Call) -> Result<runtime::Whole, CallError> {
        served.adapter.complete(call, self.0.for_provider(&served.upstream)).await
    }
}

/// A chat completion piece by piece, and its first chunks: a model has answered when they are there.
pub(crate) struct Streamed<'a>(pub(crate) &'a ChatRequest);

impl Question for Streamed<'_> {
    type Answer = (Reply, Option<Vec<String>>);

    async fn put(&self, served: &Served, call: Call) -> Result<Self::Answer, CallError> {
        let mut reply = served.adapter.start(call, self.0.for_provider(&served.upstream)).await?;
        let first = reply.next().await?;
        Ok((reply, first))
    }
}

/// Embeddings.
pub(crate) struct Embedded<'a>(pub(crate) &'a EmbeddingRequest);

impl Question for Embedded<'_> {
    type Answer = runtime::Whole;

    async fn put(&self, served: &Served, call: Call) -> Result<runtime::Whole, CallError> {
        served.adapter.embed(call, self.0.for_provider(&served.upstream)).await
    }
}
