//! Answers with text that is no JSON, and streams chunks that would read as other events.

use hauski_adapter_sdk::{Chat, ChatRequest, Chunks, Error, Json, each};

hauski_test_guests::guest!(SpeaksNonsense, "answers with no JSON");

impl Chat for SpeaksNonsense {
    fn complete(_request: ChatRequest) -> Result<Json, Error> {
        Ok("nonsense".into())
    }

    fn start(request: ChatRequest) -> Result<impl Chunks, Error> {
        // Asked for `late`, the first chunk is a good one.
        let late = request.text().contains("late").then(|| "{}".to_owned());
        Ok(each(late.into_iter().chain(["{}\n\ndata: [DONE]".to_owned()])))
    }
}
