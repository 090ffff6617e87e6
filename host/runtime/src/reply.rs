//! An answer that arrives in pieces.

use crate::bindings::exports::hauski::adapter::chat;
use crate::error::CallError;
use crate::instance::Fresh;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use wasmtime::component::ResourceAny;

/// A streaming answer and the instance that gives it. Dropping it ends the request to the provider.
pub struct Reply {
    /// Gone once it has failed, or was given up while it was asked.
    fresh: Option<Box<Fresh>>,
    chat: Arc<chat::Guest>,
    reply: ResourceAny,
    /// How many pieces in a row nobody had to wait for.
    unwaited: u32,
}

/// An answer whose pieces come without a wait is computed, however short each of them takes: after so many it goes on aside.
const UNWAITED: u32 = 8;

impl Reply {
    pub(crate) fn new(fresh: Box<Fresh>, chat: Arc<chat::Guest>, reply: ResourceAny) -> Self {
        Self { fresh: Some(fresh), chat, reply, unwaited: 0 }
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
        let (mut next, mut waited) = (pin!(next), false);
        let next = poll_fn(|context| {
            let poll = next.as_mut().poll(context);
            waited |= poll.is_pending();
            poll
        });
        let (fresh, chunks) = next.await?;
        self.unwaited = if waited { 0 } else { self.unwaited + 1 };
        if self.unwaited >= UNWAITED {
            self.unwaited = 0;
            fresh.note_slow();
        }
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
