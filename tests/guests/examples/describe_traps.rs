//! Traps in `describe`, so it cannot even be listed.

use hauski_adapter_sdk::{Adapter, Answer, Chat, ChatRequest, Chunks, Description, Error, Json, each};

struct DescribeTraps;

hauski_adapter_sdk::export!(DescribeTraps: chat);

impl Adapter for DescribeTraps {
    #[expect(clippy::panic, reason = "what this guest is for")]
    fn describe() -> Description {
        panic!("on purpose");
    }

    fn models() -> Result<Vec<Json>, Error> {
        Ok(vec![])
    }
}

impl Chat for DescribeTraps {
    fn complete(request: ChatRequest) -> Result<Json, Error> {
        Ok(Answer::new(request.model()?).completion("never asked for", None))
    }

    fn start(request: ChatRequest) -> Result<impl Chunks, Error> {
        Ok(each([Answer::new(request.model()?).finish("stop")]))
    }
}
