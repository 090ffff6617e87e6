//! Traps: in `complete`, in `start`, or in the second `next` if the last user message says `later`.

use hauski_adapter_sdk::{Answer, Chat, ChatRequest, Chunks, Error, Json};

hauski_test_guests::guest!(Traps, "traps");

impl Chat for Traps {
    #[expect(clippy::panic, reason = "what this guest is for")]
    fn complete(_: ChatRequest) -> Result<Json, Error> {
        panic!("on purpose");
    }

    #[expect(clippy::panic, reason = "what this guest is for")]
    fn start(request: ChatRequest) -> Result<impl Chunks, Error> {
        let messages = request.messages()?;
        match messages.last() {
            Some(last) if last.text()? == "later" => Ok(Later(Some(Answer::with("later", 0, "traps")))),
            _ => panic!("on purpose"),
        }
    }
}

struct Later(Option<Answer>);

impl Chunks for Later {
    #[expect(clippy::panic, reason = "what this guest is for")]
    fn next(&mut self) -> Result<Option<Vec<Json>>, Error> {
        match self.0.take() {
            Some(answer) => Ok(Some(vec![answer.role()])),
            None => panic!("on purpose"),
        }
    }
}
