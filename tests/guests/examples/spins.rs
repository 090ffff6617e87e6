//! Computes without end, in `complete` and in `start`.

use std::hint::black_box;

use hauski_adapter_sdk::{Chat, ChatRequest, Chunks, Error, Json, each};

hauski_test_guests::guest!(Spins, "computes without end");

impl Chat for Spins {
    fn complete(_: ChatRequest) -> Result<Json, Error> {
        Ok(spin())
    }

    fn start(_: ChatRequest) -> Result<impl Chunks, Error> {
        Ok(each([spin()]))
    }
}

fn spin() -> Json {
    let mut round = 0_u64;
    while black_box(true) {
        round = black_box(round.wrapping_add(1));
    }
    round.to_string()
}
