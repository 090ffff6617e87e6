//! Writes a million lines to the log, then answers as if nothing had been.

use hauski_adapter_sdk::{Answer, Chat, ChatRequest, Chunks, Error, Json, each, log};

hauski_test_guests::guest!(FloodsLog, "writes a million lines to the log");

impl Chat for FloodsLog {
    fn complete(request: ChatRequest) -> Result<Json, Error> {
        flood();
        Ok(Answer::new(request.model()?).completion("flooded", None))
    }

    fn start(request: ChatRequest) -> Result<impl Chunks, Error> {
        flood();
        let answer = Answer::new(request.model()?);
        Ok(each([answer.role(), answer.text("flooded"), answer.finish("stop")]))
    }
}

fn flood() {
    let line = "x".repeat(100);
    for _ in 0..1_000_000 {
        log::write(log::Level::Info, &line, &[("key", "value")]);
    }
}
