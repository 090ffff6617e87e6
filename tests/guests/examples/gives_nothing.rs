//! Streams empty lists of chunks without end, against the contract; without the SDK, which passes none on. As a whole, its answer is an
//! error.
#![cfg(target_family = "wasm")]

mod bindings {
    #![expect(unsafe_code, reason = "generated")]
    use super::GivesNothing;
    wit_bindgen::generate!({ path: "../../wit/0.1.0", world: "chat-adapter" });
    export!(GivesNothing);
}

use bindings::exports::hauski::adapter::about::{self, Capability, Description};
use bindings::exports::hauski::adapter::chat::{self, GuestReply};
use bindings::hauski::adapter::model_types::Error;

struct GivesNothing;

impl about::Guest for GivesNothing {
    fn describe() -> Description {
        Description {
            name: "gives-nothing".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "gives no chunk, and does not wait for one".into(),
            serves: vec![Capability::Chat],
            hosts: vec![],
            config: vec![],
        }
    }

    fn models() -> Result<Vec<String>, Error> {
        Ok(vec![r#"{"id":"gives-nothing","object":"model"}"#.into()])
    }
}

impl chat::Guest for GivesNothing {
    type Reply = Nothing;

    fn complete(_: String) -> Result<String, Error> {
        Err(Error::Internal("it has no answer".into()))
    }

    fn start(_: String) -> Result<chat::Reply, Error> {
        Ok(chat::Reply::new(Nothing))
    }
}

struct Nothing;

impl GuestReply for Nothing {
    fn next(&self) -> Result<Option<Vec<String>>, Error> {
        Ok(Some(Vec::new()))
    }
}
