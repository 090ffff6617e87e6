//! Streams two chunks, then an error. As a whole, its answer is the error alone.

use hauski_adapter_sdk::{Answer, Chat, ChatRequest, Chunks, Error, Json};

hauski_test_guests::guest!(EndsBadly, "breaks off after two chunks");

impl Chat for EndsBadly {
    fn complete(_: ChatRequest) -> Result<Json, Error> {
        Err(broke_off())
    }

    fn start(request: ChatRequest) -> Result<impl Chunks, Error> {
        let answer = Answer::new(request.model()?);
        Ok(Two(vec![answer.text("second"), answer.role()]))
    }
}

/// What is left of them, the last first.
struct Two(Vec<Json>);

impl Chunks for Two {
    fn next(&mut self) -> Result<Option<Vec<Json>>, Error> {
        self.0.pop().map(|chunk| Some(vec![chunk])).ok_or_else(broke_off)
    }
}

fn broke_off() -> Error {
    Error::Unreachable("the provider's stream broke off".into())
}
