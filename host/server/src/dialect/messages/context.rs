//! What the client wants forgotten of the conversation before the model sees it.
//!
//! In goes `context_management`; it may be there if it keeps all. To forget is not done here: how long the conversation is in
//! tokens, on which most of it depends, only the model's provider knows.

use crate::error::ApiError;
use crate::json::Node;

/// Takes what `request` wants forgotten, which is nothing.
pub(super) fn take(request: &mut Node) -> Result<(), ApiError> {
    let Some(mut management) = request.object("context_management")? else { return Ok(()) };
    for mut edit in management.objects("edits")?.unwrap_or_default() {
        if edit.needed_kind()? != "clear_thinking_20251015" {
            return Err(edit.unsupported("type", "leave it out: the conversation is sent as it is"));
        }
        if edit.take("keep") != Some(r#""all""#) {
            return Err(edit.unsupported("keep", "say `all`: the conversation is sent as it is"));
        }
        edit.nothing_else()?;
    }
    management.nothing_else()
}
