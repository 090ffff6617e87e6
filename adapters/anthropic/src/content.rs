//! Blocks of content: text, images, documents, calls of tools and their results.
//!
//! In goes `content` of a chat message; out come Anthropic's blocks. Text stays the JSON string that it was. Members of a part
//! that chat doesn't know, such as `cache_control`, go on with its block.

use std::borrow::Cow;

use hauski_adapter_sdk::Error;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::json::{At, Members, Raw, constant, decoded, is_blank, is_string};

/// A block of content.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Block<'a> {
    Text {
        text: Raw<'a>,
        #[serde(flatten)]
        more: Members<'a>,
    },
    Image {
        source: Source<'a>,
        #[serde(flatten)]
        more: Members<'a>,
    },
    Document {
        source: Source<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<Raw<'a>>,
        #[serde(flatten)]
        more: Members<'a>,
    },
    ToolUse {
        id: Raw<'a>,
        name: Raw<'a>,
        input: Cow<'a, RawValue>,
    },
    ToolResult {
        tool_use_id: Raw<'a>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        content: Vec<Block<'a>>,
    },
}

/// Where an image or a document comes from.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Source<'a> {
    Base64 { media_type: Cow<'a, str>, data: Cow<'a, str> },
    Url { url: Cow<'a, str> },
}

/// The blocks of the content that a message has in its member `content`: text, images and documents.
pub(crate) fn blocks<'a>(message: &Members<'a>, at: &At<'_>) -> Result<Vec<Block<'a>>, Error> {
    collect(message, at, |kind, part, at| match kind {
        "image_url" => image(part, at),
        "file" => file(part, at),
        _ => Err(at.member("type").refused("its messages hold text, images and PDF documents")),
    })
}

/// The same, where it can only be text.
pub(crate) fn texts<'a>(message: &Members<'a>, at: &At<'_>) -> Result<Vec<Block<'a>>, Error> {
    collect(message, at, |_, _, at| Err(at.member("type").refused("only text can be in a message of this role")))
}

/// The blocks of a content in which `other` reads what is no text.
fn collect<'a>(
    message: &Members<'a>,
    at: &At<'_>,
    other: impl Fn(&str, Members<'a>, &At<'_>) -> Result<Block<'a>, Error>,
) -> Result<Vec<Block<'a>>, Error> {
    let Some(content) = message.get("content") else { return Ok(Vec::new()) };
    let at = at.member("content");
    if is_string(content) {
        return Ok(text(content, Members::default()).into_iter().collect());
    }
    let parts: Vec<Raw<'a>> =
        serde_json::from_str(content.get()).map_err(|_| at.wrong("a string or an array of parts"))?;
    let mut blocks = Vec::with_capacity(parts.len());
    for (index, part) in parts.into_iter().enumerate() {
        let at = at.item(index);
        let part = Members::of(part.get(), &at)?;
        let kind = part.text("type", &at)?;
        match &*kind {
            // A refusal is what the model said, too.
            "text" | "refusal" => {
                let words = part.required(&kind, &at)?;
                blocks.extend(text(words, part.others(&["type", &kind])));
            }
            _ => blocks.push(other(&kind, part, &at)?),
        }
    }
    Ok(blocks)
}

/// A block of text. The API refuses one without any, which is what clients write beside calls of tools.
pub(crate) fn text<'a>(text: Raw<'a>, more: Members<'a>) -> Option<Block<'a>> {
    (!is_blank(text)).then_some(Block::Text { text, more })
}

/// How finely the model is to look (`detail`) has no word at Anthropic's.
fn image<'a>(part: Members<'a>, at: &At<'_>) -> Result<Block<'a>, Error> {
    let at = at.member("image_url");
    let url = match part.get("image_url") {
        Some(url) if is_string(url) => decoded(url, &at)?,
        Some(image) => {
            let image = Members::of(image.get(), &at)?;
            image.only(&["url", "detail"], &at)?;
            decoded(image.required("url", &at)?, &at.member("url"))?
        }
        None => return Err(at.wrong("an object with a `url`")),
    };
    let is = |scheme: &str| url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    let source = if is("https://") || is("http://") {
        Source::Url { url }
    } else {
        base64(url).ok_or_else(|| at.wrong("a URL of `https:`, or one of `data:` with base64"))?
    };
    Ok(Block::Image { source, more: part.others(&["type", "image_url"]) })
}

/// A file, which can only be a PDF. Its name is the document's title.
fn file<'a>(part: Members<'a>, at: &At<'_>) -> Result<Block<'a>, Error> {
    let at_file = at.member("file");
    let file = part.object("file", at)?.ok_or_else(|| at_file.wrong("an object with `file_data`"))?;
    if file.get("file_id").is_some() {
        return Err(at_file.member("file_id").refused("send the file itself in `file_data`"));
    }
    file.only(&["file_data", "filename"], &at_file)?;
    let at_data = at_file.member("file_data");
    let data = decoded(file.required("file_data", &at_file)?, &at_data)?;
    let source = base64(data).filter(
        |source| matches!(source, Source::Base64 { media_type, .. } if media_type.eq_ignore_ascii_case("application/pdf")),
    );
    let source = source.ok_or_else(|| at_data.wrong("a PDF document as a URL of `data:` with base64"))?;
    let title = file.string("filename", &at_file)?.filter(|title| !is_blank(title));
    Ok(Block::Document { source, title, more: part.others(&["type", "file"]) })
}

/// What a `data:` URL (RFC 2397) holds, if that is in base64.
fn base64(url: Cow<'_, str>) -> Option<Source<'_>> {
    let head_end = url.find(',')?;
    let head = url.get(..head_end).filter(|head| head.get(..5).is_some_and(|it| it.eq_ignore_ascii_case("data:")))?;
    let (rest, last) = head[5..].rsplit_once(';')?;
    if !last.trim().eq_ignore_ascii_case("base64") {
        return None;
    }
    let media_type_end = 5 + rest.find(';').unwrap_or(rest.len());
    Some(match url {
        Cow::Borrowed(url) => {
            Source::Base64 { media_type: url[5..media_type_end].into(), data: url[head_end + 1..].into() }
        }
        Cow::Owned(url) => Source::Base64 {
            media_type: url[5..media_type_end].to_owned().into(),
            data: url[head_end + 1..].to_owned().into(),
        },
    })
}

/// The call of a tool. Its arguments' bytes are the input's.
pub(crate) fn call<'a>(call: &Members<'a>, at: &At<'_>) -> Result<Block<'a>, Error> {
    if !matches!(&*call.text("type", at)?, "" | "function") {
        return Err(at.member("type").refused("tools are functions"));
    }
    call.only(&["id", "type", "function", "index"], at)?;
    let at_function = at.member("function");
    let function = call.object("function", at)?.ok_or_else(|| at_function.wrong("an object"))?;
    function.only(&["name", "arguments"], &at_function)?;
    let arguments = function.text("arguments", &at_function)?;
    let input = if arguments.trim_ascii().is_empty() {
        Cow::Borrowed(constant("{}"))
    } else {
        let input = RawValue::from_string(arguments.into_owned()).ok().filter(|input| input.get().starts_with('{'));
        Cow::Owned(input.ok_or_else(|| at_function.member("arguments").wrong("a string that is a JSON object"))?)
    };
    Ok(Block::ToolUse { id: call.required("id", at)?, name: function.required("name", &at_function)?, input })
}
