//! What a client asked for: the text as it came, and views of it.
//!
//! Nothing is parsed until it is asked for, so handing a request on costs nothing. Each accessor reads the text once; take
//! `object` for more than one or two members.

use serde::Deserialize;

use crate::{Error, Json, Object};

macro_rules! request {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            text: Json,
        }

        impl $name {
            /// The request with this text.
            pub fn new(text: impl Into<Json>) -> Self {
                Self { text: text.into() }
            }

            /// The text as it came.
            #[must_use]
            pub fn text(&self) -> &str {
                &self.text
            }

            /// The text as it came, without a copy.
            #[must_use]
            pub fn into_json(self) -> Json {
                self.text
            }

            /// All members, to read them or to build a changed request.
            ///
            /// # Errors
            /// `invalid-request` if the text is not a JSON object.
            pub fn object(&self) -> Result<Object<'_>, Error> {
                Object::parse(&self.text).map_err(|error| Error::InvalidRequest(format!("the request is not a JSON object: {error}")))
            }

            /// The member `key` as a `T`; `None` if there is none, or if it is `null`.
            ///
            /// # Errors
            /// `invalid-request` if the text is not a JSON object, or the member is something else.
            pub fn read<T: serde::de::DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
                self.object()?.read(key).map_err(|error| Error::InvalidRequest(format!("`{key}`: {error}")))
            }

            /// The provider's name for the model.
            ///
            /// # Errors
            /// `invalid-request` if there is none.
            pub fn model(&self) -> Result<String, Error> {
                self.read("model")?.ok_or_else(|| Error::InvalidRequest("`model` is missing".into()))
            }
        }
    };
}

request! {
    /// A request as in `POST /v1/chat/completions`.
    ChatRequest
}

request! {
    /// A request as in `POST /v1/embeddings`.
    EmbeddingRequest
}

impl ChatRequest {
    /// The conversation, in order.
    ///
    /// # Errors
    /// `invalid-request` if `messages` is not an array of objects.
    pub fn messages(&self) -> Result<Vec<Message<'_>>, Error> {
        #[derive(Deserialize)]
        struct Messages<'a> {
            #[serde(borrow)]
            messages: Vec<Object<'a>>,
        }
        let read: Messages<'_> =
            serde_json::from_str(&self.text).map_err(|error| Error::InvalidRequest(error.to_string()))?;
        Ok(read.messages.into_iter().map(Message).collect())
    }

    /// Whether the client asked for a usage chunk at the end of a stream.
    #[must_use]
    pub fn include_usage(&self) -> bool {
        #[derive(Deserialize)]
        struct Options {
            #[serde(default)]
            include_usage: Option<bool>,
        }
        let options = self.read::<Options>("stream_options");
        options.ok().flatten().and_then(|options| options.include_usage).unwrap_or_default()
    }
}

/// A message of a conversation.
#[derive(Debug, Clone)]
pub struct Message<'a>(Object<'a>);

impl<'a> Message<'a> {
    /// Who speaks: `system`, `user`, `assistant`, `tool`, ..; empty if the message does not say.
    #[must_use]
    pub fn role(&self) -> String {
        self.0.read("role").ok().flatten().unwrap_or_default()
    }

    /// The content's text: the string, or all text parts of an array joined. Other parts are left out; `null` is empty.
    ///
    /// # Errors
    /// `invalid-request` if the content is neither a string, an array of parts nor `null`.
    pub fn text(&self) -> Result<String, Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Content {
            Text(String),
            Parts(Vec<Part>),
        }
        #[derive(Deserialize)]
        struct Part {
            #[serde(default)]
            r#type: String,
            #[serde(default)]
            text: Option<String>,
        }
        match self.0.read::<Content>("content") {
            Ok(None) => Ok(String::new()),
            Ok(Some(Content::Text(text))) => Ok(text),
            Ok(Some(Content::Parts(parts))) => {
                Ok(parts.into_iter().filter(|part| part.r#type == "text").filter_map(|part| part.text).collect())
            }
            Err(_) => Err(Error::InvalidRequest("`content` is neither a string nor an array of parts".into())),
        }
    }

    /// All members.
    #[must_use]
    pub fn object(&self) -> &Object<'a> {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_text(content: &str, expected: Result<&str, ()>) {
        let request = ChatRequest::new(format!(r#"{{"messages":[{{"role":"user","content":{content}}}]}}"#));
        let messages = request.messages().unwrap();
        assert_eq!(messages[0].role(), "user");
        assert_eq!(messages[0].text().map_err(|_| ()), expected.map(str::to_owned));
    }

    #[test]
    fn text_of_messages() {
        check_text(r#""a\n\u00e9""#, Ok("a\né"));
        check_text("null", Ok(""));
        check_text(
            r#"[{"type":"text","text":"a"},{"type":"image_url","image_url":{}},{"type":"text","text":"b"}]"#,
            Ok("ab"),
        );
        check_text("[]", Ok(""));
        check_text("7", Err(()));
    }

    #[test]
    fn members() {
        let request = ChatRequest::new(r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#);
        assert_eq!(request.model().unwrap(), "m");
        assert_eq!(request.read::<bool>("stream").unwrap(), Some(true));
        assert!(request.include_usage());
        assert!(!ChatRequest::new(r#"{"stream_options":null}"#).include_usage());
        assert!(
            matches!(ChatRequest::new("{}").model(), Err(Error::InvalidRequest(message)) if message.contains("`model`"))
        );
        assert!(
            matches!(ChatRequest::new("{}").messages(), Err(Error::InvalidRequest(message)) if message.contains("`messages`"))
        );
        assert!(matches!(ChatRequest::new("[").object(), Err(Error::InvalidRequest(_))));
    }

    #[test]
    fn the_text_is_handed_on_unparsed() {
        assert_eq!(ChatRequest::new("not even JSON").into_json(), "not even JSON");
    }
}
