//! Connects to the address that the last user message names, past `upstream`. It must not even load.

use std::net::TcpStream;

use hauski_adapter_sdk::{Answer, Chat, ChatRequest, Chunks, Error, Json, each};

hauski_test_guests::guest!(ImportsSockets, "opens a socket");

impl Chat for ImportsSockets {
    fn complete(request: ChatRequest) -> Result<Json, Error> {
        Ok(Answer::new(request.model()?).completion(&connect(&request)?, None))
    }

    fn start(request: ChatRequest) -> Result<impl Chunks, Error> {
        Ok(each([Answer::new(request.model()?).text(&connect(&request)?)]))
    }
}

#[expect(clippy::disallowed_methods, reason = "what this guest is for")]
fn connect(request: &ChatRequest) -> Result<String, Error> {
    let messages = request.messages()?;
    let address = messages.last().ok_or_else(|| Error::InvalidRequest("`messages` is empty".into()))?.text()?;
    let stream = TcpStream::connect(address).map_err(|error| Error::Unreachable(error.to_string()))?;
    Ok(format!("{stream:?}"))
}
