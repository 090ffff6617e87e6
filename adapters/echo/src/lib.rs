//! The smallest adapter: answers with the last user message. It reaches nothing, so it needs no grant.
//!
//! In: a chat request. Out: its last user message, whole or word by word. `README.md` walks through it.

use hauski_adapter_sdk::{Adapter, Answer, Chat, ChatRequest, Chunks, Description, Error, Json, Usage, each};

struct Echo;

hauski_adapter_sdk::export!(Echo: chat);

impl Adapter for Echo {
    fn describe() -> Description {
        Description::new("echo", env!("CARGO_PKG_VERSION"), "answers with the last user message")
    }

    fn models() -> Result<Vec<Json>, Error> {
        Ok(vec![r#"{"id":"echo","object":"model","created":0,"owned_by":"hauski"}"#.into()])
    }
}

impl Chat for Echo {
    fn complete(request: ChatRequest) -> Result<Json, Error> {
        let text = last_user_text(&request)?;
        Ok(Answer::new(request.model()?).completion(&text, Some(usage(&text))))
    }

    fn start(request: ChatRequest) -> Result<impl Chunks, Error> {
        let text = last_user_text(&request)?;
        let answer = Answer::new(request.model()?);
        let mut chunks = vec![answer.role()];
        chunks.extend(text.split_inclusive(' ').map(|word| answer.text(word)));
        chunks.push(answer.finish("stop"));
        if request.include_usage() {
            chunks.push(answer.usage(usage(&text)));
        }
        Ok(each(chunks))
    }
}

fn last_user_text(request: &ChatRequest) -> Result<String, Error> {
    let messages = request.messages()?;
    let last = messages.iter().rfind(|message| message.role() == "user");
    last.ok_or_else(|| Error::InvalidRequest("`messages` has no message of the user".into()))?.text()
}

/// Words stand in for tokens: as many come back as were sent.
fn usage(text: &str) -> Usage {
    let words = text.split_whitespace().count() as u64;
    Usage { prompt: words, completion: words }
}

#[cfg(test)]
mod tests;
