//! Fails with an error that quotes the last user message, a new line, an escape sequence and 1 MiB of text.
//!
//! As a stream that is asked for `later`, it fails after its first chunk.

use hauski_adapter_sdk::{Answer, Chat, ChatRequest, Chunks, Error, Json};

hauski_test_guests::guest!(QuotesPrompt, "puts what it was told into its errors");

impl Chat for QuotesPrompt {
    fn complete(request: ChatRequest) -> Result<Json, Error> {
        Err(quote(&request)?)
    }

    fn start(request: ChatRequest) -> Result<impl Chunks, Error> {
        let error = quote(&request)?;
        if !request.text().contains("later") {
            return Err(error);
        }
        Ok(Later { first: Some(Answer::new(request.model()?).role()), error })
    }
}

struct Later {
    first: Option<Json>,
    error: Error,
}

impl Chunks for Later {
    fn next(&mut self) -> Result<Option<Vec<Json>>, Error> {
        self.first.take().map(|chunk| Some(vec![chunk])).ok_or_else(|| self.error.clone())
    }
}

fn quote(request: &ChatRequest) -> Result<Error, Error> {
    let messages = request.messages()?;
    let last = messages.last().ok_or_else(|| Error::InvalidRequest("`messages` is empty".into()))?.text()?;
    let filler = "quoted-filler ".repeat((1 << 20) / 14);
    Ok(Error::Internal(format!("{last}\n\u{1b}[31mquoted-red {last}\n{filler}")))
}
