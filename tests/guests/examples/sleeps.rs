//! Sleeps for an hour before it answers: waiting that no provider's time-out ends.

use hauski_adapter_sdk::{Answer, Chat, ChatRequest, Chunks, Error, Json, each};
use std::thread::sleep;
use std::time::Duration;

hauski_test_guests::guest!(Sleeps, "sleeps for an hour");

const HOUR: Duration = Duration::from_secs(3_600);

impl Chat for Sleeps {
    fn complete(request: ChatRequest) -> Result<Json, Error> {
        sleep(HOUR);
        Ok(Answer::new(request.model()?).completion("rested", None))
    }

    fn start(_request: ChatRequest) -> Result<impl Chunks, Error> {
        sleep(HOUR);
        Ok(each([]))
    }
}
