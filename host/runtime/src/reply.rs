//! An answer that arrives in pieces.

use crate::bindings::exports::hauski::adapter::chat;
use crate::error::CallError;
use crate::instance::Fresh;
use wasmtime::component::ResourceAny;

/// A streaming answer and the instance that gives it. Dropping it ends the request to the provider.
pub struct Reply {
    fresh: Fresh,
    chat: chat::Guest,
    reply: ResourceAny,
}

impl Reply {
    pub(crate) fn new(fresh: Fresh, chat: chat::Guest, reply: ResourceAny) -> Self {
        Self { fresh, chat, reply }
    }

    /// Waits for the next chunks: JSON objects of the form `chat.completion.chunk`. `None` is the end of a whole answer.
    ///
    /// # Errors
    /// If the answer breaks off; nothing comes after an error.
    pub async fn next(&mut self) -> Result<Option<Vec<String>>, CallError> {
        let (chat, reply) = (&self.chat, self.reply);
        self.fresh.run(async |store| chat.reply().call_next(store, reply).await).await
    }
}
