//! An answer that arrives in pieces.

use crate::bindings::exports::hauski::adapter::chat;
use crate::error::CallError;
use crate::instance::Fresh;
use std::sync::Arc;
use wasmtime::component::ResourceAny;

/// A streaming answer and the instance that gives it. Dropping it ends the request to the provider.
pub struct Reply {
    /// Gone once it has failed, or was given up while it was asked.
    fresh: Option<Box<Fresh>>,
    chat: Arc<chat::Guest>,
    reply: ResourceAny,
}

impl Reply {
    pub(crate) fn new(fresh: Box<Fresh>, chat: Arc<chat::Guest>, reply: ResourceAny) -> Self {
        Self { fresh: Some(fresh), chat, reply }
    }

    /// Waits for the next chunks: JSON objects of the form `chat.completion.chunk`. `None` is the end of a whole answer.
    ///
    /// # Errors
    /// If the answer breaks off; nothing comes after an error, nor after a call that was given up.
    pub async fn next(&mut self) -> Result<Option<Vec<String>>, CallError> {
        let gone = || CallError::Trapped("it has ended already".to_owned());
        let fresh = self.fresh.take().ok_or_else(gone)?;
        let (chat, reply) = (self.chat.clone(), self.reply);
        let next = fresh.run(|mut fresh| async move {
            let chunks = chat.reply().call_next(&mut fresh.store, reply).await;
            (fresh, chunks)
        });
        let (fresh, chunks) = next.await?;
        self.fresh = Some(fresh);
        Ok(chunks)
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(fresh) = self.fresh.take() {
            fresh.end();
        }
    }
}
