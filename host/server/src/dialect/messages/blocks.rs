//! Blocks of content: text, images, documents.
//!
//! In goes `content` of a message; out come the parts of a chat message's content.

use crate::dialect::words;
use crate::error::ApiError;
use crate::json::{Node, Object, array, decoded, inner, quoted};
use std::borrow::Cow;

/// What a message says: a text, or blocks.
pub(super) enum Content<'a> {
    /// A JSON string. It is short for one block of text.
    Text(&'a str),
    Blocks(Vec<Node<'a>>),
}

/// A part of a chat message's content.
pub(super) enum Part<'a> {
    /// A JSON string.
    Text(Cow<'a, str>),
    /// Another part, whole.
    Other(String),
}

/// Takes the member `name`, if it is there.
pub(super) fn take<'a>(of: &mut Node<'a>, name: &str) -> Result<Option<Content<'a>>, ApiError> {
    match of.peek(name) {
        None => {
            of.take(name);
            Ok(None)
        }
        Some(text) if text.starts_with('"') => {
            of.take(name);
            Ok(Some(Content::Text(text)))
        }
        Some(blocks) if blocks.starts_with('[') => Ok(of.objects(name)?.map(Content::Blocks)),
        Some(_) => Err(of.wrong(name, "a string or an array of content blocks")),
    }
}

/// The parts of `content`, where it can only be text.
pub(super) fn texts(content: Content<'_>) -> Result<Vec<Part<'_>>, ApiError> {
    parts(content, |kind, block, parts| {
        if kind != "text" {
            let instead = "only text can be here in a chat request; put the rest into a message of the user's";
            return Err(block.unsupported("type", instead));
        }
        part(kind, block, parts)
    })
}

/// The parts of `content`; `read` appends what a block of a kind is.
pub(super) fn parts<'a>(
    content: Content<'a>,
    mut read: impl FnMut(&str, Node<'a>, &mut Vec<Part<'a>>) -> Result<(), ApiError>,
) -> Result<Vec<Part<'a>>, ApiError> {
    let blocks = match content {
        Content::Text(text) => return Ok(vec![Part::Text(text.into())]),
        Content::Blocks(blocks) => blocks,
    };
    let mut parts = Vec::with_capacity(blocks.len());
    for mut block in blocks {
        let kind = block.needed_kind()?;
        // Which blocks Anthropic is to keep for later requests.
        block.take("cache_control");
        read(&kind, block, &mut parts)?;
    }
    Ok(parts)
}

/// Appends what a block is in a chat message.
pub(super) fn part<'a>(kind: &str, mut block: Node<'a>, parts: &mut Vec<Part<'a>>) -> Result<(), ApiError> {
    match kind {
        "text" => {
            // No citations is what Anthropic's clients send back of an answer without them.
            block.refuse("citations", &["[]"], "leave it out: a chat request can't say it")?;
            parts.push(Part::Text(block.needed("text")?.into()));
            block.nothing_else()
        }
        "image" => {
            parts.push(Part::Other(image(block)?));
            Ok(())
        }
        "document" => document(block, parts),
        _ => Err(block.unsupported("type", "a message holds text, images, documents and results of tools")),
    }
}

fn image(mut block: Node) -> Result<String, ApiError> {
    let mut source = source(&mut block)?;
    block.nothing_else()?;
    let kind = source.needed_kind()?;
    let url = match &*kind {
        "base64" => data_url(&mut source, "image/")?,
        "url" => source.needed("url")?.to_owned(),
        _ => return Err(source.unsupported("type", "give the image as `base64` or `url`")),
    };
    // What the other kind would have.
    for name in ["media_type", "data", "url"] {
        source.take(name);
    }
    source.nothing_else()?;
    let url = Object::new().put("url", &url).end();
    Ok(Object::new().text("type", "image_url").put("image_url", &url).end())
}

/// A document. Its title and context are parts of their own in front of it, because chat's parts have no place for them.
fn document<'a>(mut block: Node<'a>, parts: &mut Vec<Part<'a>>) -> Result<(), ApiError> {
    if let Some(mut citations) = block.object("citations")?
        && citations.flag("enabled")?
    {
        return Err(citations.unsupported("enabled", "leave it out: answers to chat requests hold no citations"));
    }
    let (title, context) = (block.string("title")?, block.string("context")?);
    let mut source = source(&mut block)?;
    block.nothing_else()?;
    match &*source.needed_kind()? {
        "text" => {
            let kind = source.string("media_type")?;
            if kind.is_some_and(|kind| decoded(kind) != "text/plain") {
                return Err(source.wrong("media_type", "`text/plain`"));
            }
            let texts = [title, context, Some(source.needed("data")?)];
            parts.extend(texts.into_iter().flatten().map(|text| Part::Text(text.into())));
        }
        "base64" => {
            let data = data_url(&mut source, "application/pdf")?;
            parts.extend(context.map(|text| Part::Text(text.into())));
            // A file's name is how a model is told what it is; the API wants one.
            let name = title.map_or_else(|| quoted("document.pdf"), str::to_owned);
            let file = Object::new().put("filename", &name).put("file_data", &data).end();
            parts.push(Part::Other(Object::new().text("type", "file").put("file", &file).end()));
        }
        _ => return Err(source.unsupported("type", "give the document as `base64` or `text`")),
    }
    source.nothing_else()
}

fn source<'a>(block: &mut Node<'a>) -> Result<Node<'a>, ApiError> {
    block.object("source")?.ok_or_else(|| block.wrong("source", "an object"))
}

/// The JSON string of a `data:` URL of `source`, whose type has to begin with `of`.
fn data_url(source: &mut Node, of: &str) -> Result<String, ApiError> {
    let media_type = decoded(source.needed("media_type")?);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/+-.".contains(&byte);
    if !media_type.starts_with(of) || !media_type.bytes().all(plain) {
        return Err(source.wrong("media_type", &format!("a media type that begins with `{of}`")));
    }
    Ok(format!("\"data:{media_type};base64,{}\"", inner(source.needed("data")?)))
}

/// `content` of a chat message. What is only text is given as one string, which every server understands.
pub(super) fn content(parts: &[Part<'_>]) -> String {
    match parts.iter().map(Part::text).collect::<Option<Vec<_>>>() {
        Some(texts) => words::paragraphs(&texts),
        None => array(&parts.iter().map(Part::json).collect::<Vec<_>>()),
    }
}

impl Part<'_> {
    /// What stands between the quotes, if it is a text.
    fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(inner(text)) } else { None }
    }

    fn json(&self) -> String {
        match self {
            Self::Text(text) => Object::new().text("type", "text").put("text", text).end(),
            Self::Other(part) => part.clone(),
        }
    }
}
