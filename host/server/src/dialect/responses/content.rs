//! The content of messages: the client's parts, put into those of chat completions.
//!
//! In goes a string or an array of parts of an input item; out comes the `content` of a chat message.

use crate::dialect::words;
use crate::error::ApiError;
use crate::json::{Node, Object, array, elements, inner, quoted};
use std::borrow::Cow;

/// A message's content, part by part.
#[derive(Default)]
pub(super) struct Content<'a>(Vec<Part<'a>>);

enum Part<'a> {
    /// A text and nothing else, as JSON string.
    Text(Cow<'a, str>),
    /// The JSON of a text with members of its own.
    Worded(String),
    /// The JSON of any other part.
    Other(String),
}

/// Whose parts they are.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// What somebody says: all kinds of parts.
    Message,
    /// What a tool gave.
    ToolOutput,
}

impl<'a> Content<'a> {
    /// A plain text. `string` is a JSON string.
    pub(super) fn text(string: &'a str) -> Self {
        Self(vec![Part::Text(string.into())])
    }

    /// Takes the member `name` of an input item: a string, or an array of parts.
    ///
    /// # Errors
    /// If it is neither, or a part is one that chat completions don't have.
    pub(super) fn take(item: &mut Node<'a>, name: &str, kind: Kind) -> Result<Self, ApiError> {
        let Some(value) = item.take(name) else {
            return Err(ApiError::wrong(item.path(name), "a string or an array of parts, and is missing"));
        };
        if value.starts_with('"') {
            return Ok(Self::text(value));
        }
        let Some(parts) = elements(value) else {
            return Err(ApiError::wrong(item.path(name), "a string or an array of parts"));
        };
        let path = item.path(name);
        let part = |(at, part): (usize, &'a str)| Part::read(Node::new(part, format!("{path}[{at}]"))?, kind);
        parts.into_iter().enumerate().map(part).collect::<Result<_, _>>().map(Self)
    }

    /// Takes out of what the tool call `id` gave what is no text: chat has only text for it. It comes back with a word of where it is
    /// from, to be shown as if the user showed it.
    pub(super) fn shown(&mut self, id: &str) -> Self {
        let (texts, mut others): (Vec<_>, Vec<_>) =
            self.0.drain(..).partition(|part| matches!(part, Part::Text(_) | Part::Worded(_)));
        self.0 = texts;
        if others.is_empty() {
            return Self::default();
        }
        if self.0.is_empty() {
            self.0.push(Part::Text(quoted("It follows in the next message.").into()));
        }
        others.insert(0, Part::Text(format!("\"What the tool call {} gave:\"", inner(id)).into()));
        Self(others)
    }

    pub(super) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The `content` of a chat message. What is only text is a string: not all providers read arrays in all roles.
    pub(super) fn json(&self) -> String {
        match self.0.iter().map(Part::text).collect::<Option<Vec<_>>>() {
            Some(texts) => words::paragraphs(&texts),
            None => array(&self.0.iter().map(Part::json).collect::<Vec<_>>()),
        }
    }
}

impl<'a> Part<'a> {
    /// What stands between the quotes, if it is a text and nothing else.
    fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(inner(text)) } else { None }
    }

    fn read(mut part: Node<'a>, kind: Kind) -> Result<Self, ApiError> {
        let name = part.kind()?;
        if kind == Kind::ToolOutput && !TOOLS_GIVE.contains(&&*name) {
            return Err(part.unsupported("type", "write one of `input_text`, `input_image`, `input_file`"));
        }
        match &*name {
            "input_text" | "output_text" => {
                let string = part.needed("text")?;
                // They tell of an output that was; no model is shown them again. `parsed` is what a client made of the text.
                for name in ["annotations", "logprobs", "parsed"] {
                    part.take(name);
                }
                let rest = part.rest(&[])?;
                if rest.is_empty() {
                    return Ok(Self::Text(string.into()));
                }
                Ok(Self::Worded(Object::new().put("type", TEXT).put("text", string).pass(&rest).end()))
            }
            "refusal" => {
                let string = part.needed("refusal")?;
                let object = Object::new().put("type", "\"refusal\"").put("refusal", string);
                Ok(Self::Other(object.pass(&part.rest(&[])?).end()))
            }
            "input_image" => {
                part.refuse("file_id", &[], "no files are stored; write `image_url`, which may be a `data:` URL")?;
                let url = part.needed("image_url")?;
                let image = Object::new().put("url", url).maybe("detail", part.string("detail")?).end();
                let object = Object::new().put("type", "\"image_url\"").put("image_url", &image);
                Ok(Self::Other(object.pass(&part.rest(&[])?).end()))
            }
            "input_file" => {
                part.refuse("file_id", &[], "no files are stored; write `file_data`")?;
                part.refuse("file_url", &[], "nothing is fetched; write `file_data`")?;
                part.refuse("detail", &["\"auto\""], "chat completions have no counterpart; leave it out")?;
                let data = part.needed("file_data")?;
                let file = Object::new().put("file_data", data).maybe("filename", part.string("filename")?).end();
                let object = Object::new().put("type", "\"file\"").put("file", &file);
                Ok(Self::Other(object.pass(&part.rest(&["file"])?).end()))
            }
            _ => Err(part.unsupported(
                "type",
                "write one of `input_text`, `input_image`, `input_file`, `output_text`, `refusal`",
            )),
        }
    }

    fn json(&self) -> String {
        match self {
            Self::Text(string) => Object::new().put("type", TEXT).put("text", string).end(),
            Self::Worded(json) | Self::Other(json) => json.clone(),
        }
    }
}

const TEXT: &str = "\"text\"";
/// The kinds of parts that tools give.
const TOOLS_GIVE: [&str; 3] = ["input_text", "input_image", "input_file"];
