//! Joins the author's traits to the contract's exports, and `export!`.

use std::cell::RefCell;
use std::marker::PhantomData;

use crate::bindings::about::exports::hauski::adapter::about;
use crate::bindings::chat::exports::hauski::adapter::chat;
use crate::bindings::embeddings::exports::hauski::adapter::embeddings;
use crate::{Adapter, Chat, ChatRequest, Chunks, EmbeddingRequest, Embeddings, Error, Json};

pub use about::Capability;

/// What `export!` says that an adapter serves: `describe` cannot tell it otherwise.
pub trait Serves {
    /// What it exports beside `about`.
    const SERVES: &'static [Capability];
}

/// The exports of an adapter.
#[derive(Debug)]
pub struct Exported<A>(PhantomData<A>);

impl<A: Adapter + Serves + 'static> about::Guest for Exported<A> {
    fn describe() -> about::Description {
        let of = A::describe();
        let config = of.config.into_iter();
        about::Description {
            name: of.name,
            version: of.version,
            summary: of.summary,
            serves: A::SERVES.to_vec(),
            hosts: of.hosts,
            config: config.map(key).collect(),
        }
    }

    fn models() -> Result<Vec<Json>, Error> {
        A::models()
    }
}

fn key(key: crate::adapter::ConfigKey) -> about::ConfigKey {
    let crate::adapter::ConfigKey { name, summary, required, default } = key;
    about::ConfigKey { name, summary, required, default }
}

impl<A: Chat + 'static> chat::Guest for Exported<A> {
    type Reply = Reply;

    fn complete(request: Json) -> Result<Json, Error> {
        A::complete(ChatRequest::new(request))
    }

    fn start(request: Json) -> Result<chat::Reply, Error> {
        let chunks = A::start(ChatRequest::new(request))?;
        Ok(chat::Reply::new(Reply(RefCell::new(State::Running(Box::new(chunks))))))
    }
}

impl<A: Embeddings + 'static> embeddings::Guest for Exported<A> {
    fn embed(request: Json) -> Result<Json, Error> {
        A::embed(EmbeddingRequest::new(request))
    }
}

/// A running answer. The end and an error are given again on each further call, and the chunks' source is dropped at once.
pub struct Reply(RefCell<State>);

enum State {
    Running(Box<dyn Chunks>),
    Ended,
    Failed(Error),
}

impl chat::GuestReply for Reply {
    fn next(&self) -> Result<Option<Vec<Json>>, Error> {
        let mut state = self.0.borrow_mut();
        match &mut *state {
            State::Running(chunks) => loop {
                match chunks.next() {
                    Ok(Some(batch)) if batch.is_empty() => {}
                    Ok(Some(batch)) => return Ok(Some(batch)),
                    Ok(None) => {
                        *state = State::Ended;
                        return Ok(None);
                    }
                    Err(error) => {
                        *state = State::Failed(error.clone());
                        return Err(error);
                    }
                }
            },
            State::Ended => Ok(None),
            State::Failed(error) => Err(error.clone()),
        }
    }
}

/// Makes a component of the crate: exports `about` and what is listed after the adapter's type.
///
/// `export!(Mine)` is short for `export!(Mine: chat)`; the others are `export!(Mine: embeddings)` and
/// `export!(Mine: chat, embeddings)`. The type implements [`Adapter`](crate::Adapter), and [`Chat`](crate::Chat) for `chat`,
/// [`Embeddings`](crate::Embeddings) for `embeddings`.
#[macro_export]
macro_rules! export {
    (@with $adapter:ty, $($capability:ident),+) => {
        impl $crate::export::Serves for $adapter {
            const SERVES: &'static [$crate::export::Capability] = &[$($crate::export::Capability::$capability),+];
        }

        const _: ::core::marker::PhantomData<$adapter> = ::core::marker::PhantomData;

        // Native linkers cannot take the exports' names, and native builds are for tests only.
        #[cfg(target_family = "wasm")]
        const _: () = {
            type Exported = $crate::export::Exported<$adapter>;
            $crate::bindings::about::export_about!(Exported with_types_in $crate::bindings::about);
            $($crate::export!(@one $capability);)+
        };
    };
    (@one Chat) => {
        $crate::bindings::chat::export_chat!(Exported with_types_in $crate::bindings::chat);
    };
    (@one Embeddings) => {
        $crate::bindings::embeddings::export_embeddings!(Exported with_types_in $crate::bindings::embeddings);
    };
    ($adapter:ty) => {
        $crate::export!($adapter: chat);
    };
    ($adapter:ty: chat) => {
        $crate::export!(@with $adapter, Chat);
    };
    ($adapter:ty: embeddings) => {
        $crate::export!(@with $adapter, Embeddings);
    };
    ($adapter:ty: chat, embeddings) => {
        $crate::export!(@with $adapter, Chat, Embeddings);
    };
}
