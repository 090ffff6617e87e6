//! Sends 16 MiB to the URL in the last user message again and again, and never gives an answer back, until `upstream` refuses.
//!
//! The error of that refusal is its own.

use std::convert::Infallible;
use std::mem::forget;

use hauski_adapter_sdk::http::Request;
use hauski_adapter_sdk::{Chat, ChatRequest, Chunks, Error, Json, each};

hauski_test_guests::guest!(FloodsUploads, "has bodies on their way that nobody takes");

/// Bytes of one body.
const BODY: usize = 16 << 20;

impl Chat for FloodsUploads {
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
    let url = messages.last().ok_or_else(|| Error::InvalidRequest("`messages` is empty".into()))?.text()?;
    let request = Request::post(url).body(vec![b'x'; BODY]);
    loop {
        forget(request.send()?);
    }
}
