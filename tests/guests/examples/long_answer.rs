//! Answers with as many MiB as the last user message says: whole, or in one chunk.

use hauski_adapter_sdk::{Answer, Chat, ChatRequest, Chunks, Error, Json, each};

hauski_test_guests::guest!(LongAnswer, "answers with many MiB");

impl Chat for LongAnswer {
    fn complete(request: ChatRequest) -> Result<Json, Error> {
        Ok(Answer::new(request.model()?).completion(&long(&request)?, None))
    }

    fn start(request: ChatRequest) -> Result<impl Chunks, Error> {
        let answer = Answer::new(request.model()?);
        Ok(each([answer.role(), answer.text(&long(&request)?), answer.finish("stop")]))
    }
}

fn long(request: &ChatRequest) -> Result<String, Error> {
    let messages = request.messages()?;
    let last = messages.last().ok_or_else(|| Error::InvalidRequest("`messages` is empty".into()))?.text()?;
    let mib: usize = last.parse().map_err(|_| Error::InvalidRequest("the last message is no number".into()))?;
    Ok("x".repeat(mib << 20))
}
