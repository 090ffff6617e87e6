//! Streams chunks without end, as fast as they are taken. As a whole, its answer never comes.

use std::iter::repeat;

use hauski_adapter_sdk::{Answer, Chat, ChatRequest, Chunks, Error, Json, each};

hauski_test_guests::guest!(StreamsForever, "streams without end");

impl Chat for StreamsForever {
    fn complete(request: ChatRequest) -> Result<Json, Error> {
        let answer = Answer::new(request.model()?);
        Ok(repeat(answer.text("x")).filter(String::is_empty).collect())
    }

    fn start(request: ChatRequest) -> Result<impl Chunks, Error> {
        Ok(each(repeat(Answer::new(request.model()?).text("x"))))
    }
}
