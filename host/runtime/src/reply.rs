//! Answers of adapters, whole and in pieces, and the memory that they take until their clients have them.

use crate::bindings::exports::hauski::adapter::chat;
use crate::budget::Reservation;
use crate::consumption::Consumption;
use crate::error::{CallError, Full};
use crate::instance::Fresh;
use std::sync::Arc;
use wasmtime::component::ResourceAny;

/// Up to here an answer, or a piece of one, takes no place in the memory of all adapters: those that are read at once are few.
const SMALL: usize = 64 << 10;

/// A whole answer: JSON in OpenAI's dialect.
#[derive(Debug)]
pub struct Whole {
    /// The answer.
    pub text: String,
    /// Its place in memory, to be kept for as long as the answer, or what is made of it, is.
    pub place: AnswerPlace,
}

/// A place in the memory of all adapters (`total_memory_mib`); given back on drop.
#[derive(Debug, Default)]
#[must_use = "the place is given back when this is dropped"]
pub struct AnswerPlace {
    _reservation: Option<Reservation>,
}

impl AnswerPlace {
    /// Takes a place for `bytes`.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn take(consumption: &Consumption, bytes: usize) -> Result<Self, CallError> {
        if bytes <= SMALL {
            return Ok(Self::default());
        }
        let memory = consumption.memory();
        let full = || CallError::Busy(Full::Memory { total: memory.total() });
        Ok(Self { _reservation: Some(memory.try_reserve(bytes).ok_or_else(full)?) })
    }
}

/// A streaming answer and the instance that gives it. Dropping it ends the request to the provider.
pub struct Reply {
    /// Gone once it has failed, or was given up while it was asked.
    fresh: Option<Box<Fresh>>,
    chat: Arc<chat::Guest>,
    reply: ResourceAny,
    /// The place of the last chunks: the next ones are asked for when those are written.
    place: AnswerPlace,
}

impl Reply {
    pub(crate) fn new(fresh: Box<Fresh>, chat: Arc<chat::Guest>, reply: ResourceAny) -> Self {
        Self { fresh: Some(fresh), chat, reply, place: AnswerPlace::default() }
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
        self.place = AnswerPlace::default();
        let (fresh, chunks) = next.await?;
        if chunks.as_ref().is_some_and(Vec::is_empty) {
            let error = "`next` gave an empty list; it has to wait until there is a chunk";
            fresh.end();
            return Err(CallError::Trapped(error.to_owned()));
        }
        let bytes = chunks.iter().flatten().map(String::len).sum();
        match fresh.take_place(bytes) {
            Ok(place) => self.place = place,
            Err(error) => {
                fresh.end();
                return Err(error);
            }
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
