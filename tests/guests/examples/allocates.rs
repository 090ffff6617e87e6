//! Takes memory without end, in `complete` and in `start`.

use std::hint::black_box;

use hauski_adapter_sdk::{Chat, ChatRequest, Chunks, Error, Json, each};

hauski_test_guests::guest!(Allocates, "takes memory without end");

impl Chat for Allocates {
    fn complete(_: ChatRequest) -> Result<Json, Error> {
        Ok(allocate())
    }

    fn start(_: ChatRequest) -> Result<impl Chunks, Error> {
        Ok(each([allocate()]))
    }
}

fn allocate() -> Json {
    let mut kept = Vec::new();
    while black_box(true) {
        kept.push(vec![black_box(1_u8); 1 << 20]);
    }
    kept.len().to_string()
}
