//! Blocks of content: text, images, documents.
//!
//! In goes `content` of a message; out come the parts of a chat message's content.

use super::json::{At, Members, Object, decoded, inner, items, list, quoted};
use crate::error::ApiError;
use std::borrow::Cow;

/// A block of content, and what it is.
pub(super) struct Block<'a> {
    pub(super) kind: Cow<'a, str>,
    pub(super) members: Members<'a>,
}

/// A part of a chat message's content.
pub(super) enum Part<'a> {
    /// A JSON string.
    Text(Cow<'a, str>),
    /// Another part, whole.
    Other(String),
}

/// The blocks of `content`. A string is short for one block of text.
pub(super) fn of<'a>(content: &'a str, at: &At<'_>) -> Result<Vec<Block<'a>>, ApiError> {
    if content.starts_with('"') {
        let text = Members::of([("type", r#""text""#), ("text", content)]);
        return Ok(vec![Block { kind: "text".into(), members: text }]);
    }
    let blocks = items(content, at, "a string or an array of content blocks")?;
    let block = |(index, block)| {
        let at = at.item(index);
        let members = Members::at(block, &at)?;
        Ok(Block { kind: members.kind(&at)?, members })
    };
    blocks.into_iter().enumerate().map(block).collect()
}

/// The parts of `content`, where it can only be text.
pub(super) fn texts<'a>(content: &'a str, at: &At<'_>) -> Result<Vec<Part<'a>>, ApiError> {
    let mut parts = Vec::new();
    for (index, block) in of(content, at)?.iter().enumerate() {
        let at = at.item(index);
        if block.kind != "text" {
            let instead = "only text can be here in a chat request; put the rest into a message of the user's";
            return Err(at.member("type").unsupported(instead));
        }
        part(block, &at, &mut parts)?;
    }
    Ok(parts)
}

/// Appends what a block is in a chat message.
pub(super) fn part<'a>(block: &Block<'a>, at: &At<'_>, parts: &mut Vec<Part<'a>>) -> Result<(), ApiError> {
    let block_members = &block.members;
    match &*block.kind {
        "text" => {
            // No citations is what Anthropic's clients send back of an answer without them.
            let cited = block_members.get("citations").is_some_and(|citations| citations != "[]");
            if cited {
                return Err(at.member("citations").unsupported("leave it out: a chat request can't say it"));
            }
            block_members.only(&["type", "text", "citations", "cache_control"], at)?;
            parts.push(Part::Text(block_members.string("text", at)?.into()));
        }
        "image" => parts.push(Part::Other(image(block_members, at)?)),
        "document" => document(block_members, at, parts)?,
        _ => return Err(at.member("type").unsupported("a message holds text, images, documents and results of tools")),
    }
    Ok(())
}

fn image(block: &Members<'_>, at: &At<'_>) -> Result<String, ApiError> {
    block.only(&["type", "source", "cache_control"], at)?;
    let at = at.member("source");
    let source = Members::at(block.get("source").unwrap_or_default(), &at)?;
    let url = match &*source.kind(&at)? {
        "base64" => data_url(&source, &at, "image/")?,
        "url" => source.string("url", &at)?.to_owned(),
        _ => return Err(at.member("type").unsupported("give the image as `base64` or `url`")),
    };
    source.only(&["type", "media_type", "data", "url"], &at)?;
    let url = Object::new().raw("url", &url).end();
    Ok(Object::new().raw("type", &quoted("image_url")).raw("image_url", &url).end())
}

/// A document. Its title and context are parts of their own in front of it, because chat's parts have no place for them.
fn document<'a>(block: &Members<'a>, at: &At<'_>, parts: &mut Vec<Part<'a>>) -> Result<(), ApiError> {
    if let Some(citations) = block.get("citations") {
        let at = at.member("citations");
        if Members::at(citations, &at)?.flag("enabled", &at)? {
            return Err(at.member("enabled").unsupported("leave it out: answers to chat requests hold no citations"));
        }
    }
    block.only(&["type", "source", "title", "context", "citations", "cache_control"], at)?;
    let text = |name| block.get(name).map(|_| block.string(name, at)).transpose();
    let (title, context) = (text("title")?, text("context")?);
    let at = at.member("source");
    let source = Members::at(block.get("source").unwrap_or_default(), &at)?;
    match &*source.kind(&at)? {
        "text" => {
            if source.get("media_type").is_some() && decoded(source.string("media_type", &at)?) != "text/plain" {
                return Err(at.member("media_type").wrong("`text/plain`"));
            }
            let texts = [title, context, Some(source.string("data", &at)?)];
            parts.extend(texts.into_iter().flatten().map(|text| Part::Text(text.into())));
        }
        "base64" => {
            let data = data_url(&source, &at, "application/pdf")?;
            parts.extend(context.map(|text| Part::Text(text.into())));
            // A file's name is how a model is told what it is; the API wants one.
            let name = title.map_or_else(|| quoted("document.pdf"), str::to_owned);
            let file = Object::new().raw("filename", &name).raw("file_data", &data).end();
            parts.push(Part::Other(Object::new().raw("type", &quoted("file")).raw("file", &file).end()));
        }
        _ => return Err(at.member("type").unsupported("give the document as `base64` or `text`")),
    }
    source.only(&["type", "media_type", "data"], &at)
}

/// The JSON string of a `data:` URL of `source`, whose type has to begin with `of`.
fn data_url(source: &Members<'_>, at: &At<'_>, of: &str) -> Result<String, ApiError> {
    let media_type = decoded(source.string("media_type", at)?);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/+-.".contains(&byte);
    if !media_type.starts_with(of) || !media_type.bytes().all(plain) {
        return Err(at.member("media_type").wrong(&format!("a media type that begins with `{of}`")));
    }
    Ok(format!("\"data:{media_type};base64,{}\"", inner(source.string("data", at)?)))
}

/// `content` of a chat message. One part of text is given as a string, which every server understands.
pub(super) fn content(mut parts: Vec<Part<'_>>) -> String {
    match (parts.pop(), parts.is_empty()) {
        (None, _) => quoted(""),
        (Some(Part::Text(text)), true) => text.into_owned(),
        (Some(last), _) => {
            parts.push(last);
            list(&parts.into_iter().map(whole).collect::<Vec<_>>())
        }
    }
}

fn whole(part: Part<'_>) -> String {
    match part {
        Part::Text(text) => Object::new().raw("type", &quoted("text")).raw("text", &text).end(),
        Part::Other(part) => part,
    }
}
