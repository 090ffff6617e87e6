//! Sleeps for an hour in `describe`: loading it must not wait for that.

use hauski_adapter_sdk::{Adapter, Answer, Chat, ChatRequest, Chunks, Description, Error, Json, each};
use std::thread::sleep;
use std::time::Duration;

struct DescribeSleeps;

hauski_adapter_sdk::export!(DescribeSleeps: chat);

impl Adapter for DescribeSleeps {
    fn describe() -> Description {
        sleep(Duration::from_secs(3_600));
        Description::new("describe-sleeps", env!("CARGO_PKG_VERSION"), "sleeps for an hour when it is asked what it is")
    }

    fn models() -> Result<Vec<Json>, Error> {
        Ok(vec![])
    }
}

impl Chat for DescribeSleeps {
    fn complete(request: ChatRequest) -> Result<Json, Error> {
        Ok(Answer::new(request.model()?).completion("never asked for", None))
    }

    fn start(request: ChatRequest) -> Result<impl Chunks, Error> {
        Ok(each([Answer::new(request.model()?).finish("stop")]))
    }
}
