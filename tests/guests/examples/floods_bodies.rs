//! Makes what `wasi:http` keeps in the host's memory, again and again and without ever sending it, until something refuses.
//!
//! What it makes is what the last user message says: `bodies` are requests with as much in each body as it takes, `fields` are
//! header maps that are as full as they get. A refusal that is no trap ends in an error of its own.
#![cfg(target_family = "wasm")]

use std::convert::Infallible;
use std::mem::forget;

use hauski_adapter_sdk::{Chat, ChatRequest, Chunks, Error, Json, each};
use wasip2::http::types::{Fields, OutgoingRequest};

hauski_test_guests::guest!(FloodsBodies, "makes bodies that it never sends");

/// Bytes of one piece of a body.
const PIECE: usize = 1 << 20;
/// Bytes of one header field's value.
const VALUE: usize = 4 << 10;

impl Chat for FloodsBodies {
    fn complete(request: ChatRequest) -> Result<Json, Error> {
        match flood(&request)? {}
    }

    fn start(request: ChatRequest) -> Result<impl Chunks, Error> {
        match flood(&request)? {}
        #[expect(unreachable_code, reason = "gives the function its type")]
        Ok(each([]))
    }
}

fn flood(request: &ChatRequest) -> Result<Infallible, Error> {
    let messages = request.messages()?;
    match messages.last().map(|last| last.text()).transpose()?.as_deref() {
        Some("bodies") => bodies(),
        Some("fields") => fields(),
        _ => Err(Error::InvalidRequest("say `bodies` or `fields`".into())),
    }
}

fn bodies() -> Result<Infallible, Error> {
    let piece = vec![b'x'; PIECE];
    loop {
        let request = OutgoingRequest::new(Fields::new());
        let body = request.body().map_err(|()| refused("a body"))?;
        let stream = body.write().map_err(|()| refused("a body's stream"))?;
        loop {
            let room = stream.check_write().map_err(|_| refused("to write"))?;
            let room = usize::try_from(room).unwrap_or(PIECE).min(PIECE);
            if room == 0 {
                break;
            }
            stream.write(&piece[..room]).map_err(|_| refused("to write"))?;
        }
        forget((request, body, stream));
    }
}

fn fields() -> Result<Infallible, Error> {
    let value = vec![b'x'; VALUE];
    loop {
        let fields = Fields::new();
        while fields.append("x-flood", &value).is_ok() {}
        forget(fields);
    }
}

fn refused(what: &str) -> Error {
    Error::Internal(format!("the host refused {what}"))
}
