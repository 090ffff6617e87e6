//! Answers with how many requests this instance has had: always `1`, if each request has a fresh one.

use std::sync::atomic::{AtomicU32, Ordering};

use hauski_adapter_sdk::{Answer, Chat, ChatRequest, Chunks, Error, Json, each};

hauski_test_guests::guest!(Counts, "counts the requests of its instance");

static REQUESTS: AtomicU32 = AtomicU32::new(0);

impl Chat for Counts {
    fn complete(request: ChatRequest) -> Result<Json, Error> {
        Ok(Answer::new(request.model()?).completion(&count(), None))
    }

    fn start(request: ChatRequest) -> Result<impl Chunks, Error> {
        let answer = Answer::new(request.model()?);
        Ok(each([answer.role(), answer.text(&count()), answer.finish("stop")]))
    }
}

fn count() -> String {
    (REQUESTS.fetch_add(1, Ordering::Relaxed) + 1).to_string()
}
