//! The same as `probe` over plain `wasi:http`, and an adapter without the SDK: the contract by `wit-bindgen` alone.
//!
//! In: as for `probe`; instead of `url`, or over its parts, `scheme`, `authority` and `path` as they are to be set, a `method` that
//! begins with `other:` as such, `empty_writes` to the body before it, and `trailers` after it. Out: as for `probe`; `err` is `denied` for `HTTP-request-denied`, `refused-here` where
//! the request could not even be made, else the name of the error code.
#![cfg(target_family = "wasm")]

mod bindings {
    #![expect(unsafe_code, reason = "generated")]
    use super::ProbeWasiHttp;
    wit_bindgen::generate!({ path: "../../wit/0.1.0", world: "chat-adapter" });
    export!(ProbeWasiHttp);
}
#[path = "probe_wasi_http/exchange.rs"]
mod exchange;

use bindings::exports::hauski::adapter::about::{self, Capability, Description};
use bindings::exports::hauski::adapter::chat::{self, GuestReply};
use bindings::hauski::adapter::model_types::Error;
use exchange::{Exchange, Failure, Order};
use serde_json::{Value, json};

struct ProbeWasiHttp;

impl about::Guest for ProbeWasiHttp {
    fn describe() -> Description {
        Description {
            name: "probe-wasi-http".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "sends what it is told, over wasi:http".into(),
            serves: vec![Capability::Chat],
            hosts: vec![],
            config: vec![],
        }
    }

    fn models() -> Result<Vec<String>, Error> {
        Ok(vec![json!({"id": "probe-wasi-http", "object": "model"}).to_string()])
    }
}

impl chat::Guest for ProbeWasiHttp {
    type Reply = Pieces;

    fn complete(request: String) -> Result<String, Error> {
        let order = order(&request)?;
        let content = match order.repeat {
            Some(times) => (0..times).map(|_| whole(&order)).collect(),
            None => whole(&order),
        };
        let message = json!({"role": "assistant", "content": content.to_string()});
        let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
        Ok(json!({"id": "probe", "object": "chat.completion", "created": 0, "model": "probe", "choices": [choice]})
            .to_string())
    }

    fn start(request: String) -> Result<chat::Reply, Error> {
        let exchange = Exchange::begin(&order(&request)?).map_err(error)?;
        Ok(chat::Reply::new(Pieces(exchange)))
    }
}

struct Pieces(Exchange);

impl GuestReply for Pieces {
    fn next(&self) -> Result<Option<Vec<String>>, Error> {
        let Some(piece) = self.0.read().map_err(error)? else {
            return Ok(None);
        };
        let choice = json!({"index": 0, "delta": {"content": String::from_utf8_lossy(&piece)}, "finish_reason": null});
        let chunk = json!({"id": "probe", "object": "chat.completion.chunk", "created": 0, "model": "probe", "choices": [choice]});
        Ok(Some(vec![chunk.to_string()]))
    }
}

fn order(request: &str) -> Result<Order, Error> {
    let invalid = |error: serde_json::Error| Error::InvalidRequest(error.to_string());
    let request: Value = serde_json::from_str(request).map_err(invalid)?;
    let last = request["messages"].as_array().and_then(|messages| messages.last());
    let content = last.and_then(|last| last["content"].as_str()).unwrap_or_default();
    serde_json::from_str(content).map_err(invalid)
}

fn whole(order: &Order) -> Value {
    let exchange = match Exchange::begin(order) {
        Ok(exchange) => exchange,
        Err(failure) => return json!({"err": failure.case, "message": failure.message}),
    };
    let mut body = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&body);
        match exchange.read() {
            Ok(Some(piece)) => body.extend(piece),
            Ok(None) => return json!({"ok": {"status": exchange.status, "headers": exchange.headers, "body": text}}),
            Err(failure) => {
                return json!({"err": failure.case, "message": failure.message, "status": exchange.status, "body": text});
            }
        }
    }
}

fn error(failure: Failure) -> Error {
    if failure.case == "denied" {
        Error::Denied
    } else {
        Error::Unreachable(format!("{}: {}", failure.case, failure.message))
    }
}
