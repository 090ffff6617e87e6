//! Reads the file that the last user message names. No policy grants that: it must not even load.

use hauski_adapter_sdk::{Answer, Chat, ChatRequest, Chunks, Error, Json, each};

hauski_test_guests::guest!(ImportsFilesystem, "reads a file");

impl Chat for ImportsFilesystem {
    fn complete(request: ChatRequest) -> Result<Json, Error> {
        Ok(Answer::new(request.model()?).completion(&read(&request)?, None))
    }

    fn start(request: ChatRequest) -> Result<impl Chunks, Error> {
        Ok(each([Answer::new(request.model()?).text(&read(&request)?)]))
    }
}

fn read(request: &ChatRequest) -> Result<String, Error> {
    let messages = request.messages()?;
    let path = messages.last().ok_or_else(|| Error::InvalidRequest("`messages` is empty".into()))?.text()?;
    std::fs::read_to_string(path).map_err(|error| Error::Internal(error.to_string()))
}
