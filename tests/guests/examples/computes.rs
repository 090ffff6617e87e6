//! Computes for some milliseconds and answers, as adapters made from Python and JavaScript do.

use std::hint::black_box;

use hauski_adapter_sdk::{Answer, Chat, ChatRequest, Chunks, Error, Json, each};

hauski_test_guests::guest!(Computes, "computes for some milliseconds");

/// Rounds of computing, each about a nanosecond.
const ROUNDS: u64 = 4_000_000;

impl Chat for Computes {
    fn complete(request: ChatRequest) -> Result<Json, Error> {
        compute();
        Ok(Answer::new(request.model()?).completion("done", None))
    }

    fn start(request: ChatRequest) -> Result<impl Chunks, Error> {
        compute();
        let answer = Answer::new(request.model()?);
        Ok(each([answer.role(), answer.text("done"), answer.finish("stop")]))
    }
}

fn compute() {
    (0..ROUNDS).for_each(|round| {
        black_box(round);
    });
}
