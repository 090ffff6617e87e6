//! How much the model is to think, and whether it is to tell what it thought.
//!
//! In go `thinking` and `output_config.effort`; out comes what `reasoning_effort` of the chat request says. Chat has one word for
//! what Anthropic says in two ways, by a word and by a number of tokens; the word counts more.

use crate::error::ApiError;
use crate::json::{Node, quoted};
use std::borrow::Cow;

/// A thought of fewer tokens than this takes `low` effort, of fewer than the second `medium`, and of more `high`.
const BUDGETS: [(u64, &str); 2] = [(4_096, "low"), (16_384, "medium")];
/// What chat calls it. Clients can say it here as well, to be passed on.
pub(super) const CHATS_OWN: &str = "reasoning_effort";

/// What a request says of thinking.
pub(super) struct Effort<'a> {
    /// What `reasoning_effort` is to say, as JSON, unless the client says it.
    pub(super) word: Option<Cow<'a, str>>,
    /// Whether thoughts are to be told.
    pub(super) told: bool,
}

/// What `thinking` says.
struct Thinking {
    /// Whether the model may think.
    may: bool,
    /// The effort that a budget of tokens stands for.
    budget: Option<&'static str>,
    told: bool,
}

/// Takes what `request` says of thinking; `config` is its `output_config`.
pub(super) fn take<'a>(request: &mut Node<'a>, config: &mut Node<'a>) -> Result<Effort<'a>, ApiError> {
    let word = config.string("effort")?;
    let thinking = match request.object("thinking")? {
        None => Thinking { may: true, budget: None, told: true },
        Some(mut node) => {
            let thinking = thinking(&mut node)?;
            let twice = thinking.budget.is_some() && request.peek(CHATS_OWN).is_some();
            if twice {
                return Err(node.unsupported("budget_tokens", "`reasoning_effort` says it already"));
            }
            node.nothing_else()?;
            thinking
        }
    };
    if word.is_some() && request.peek(CHATS_OWN).is_some() {
        return Err(config.unsupported("effort", "`reasoning_effort` says it already"));
    }
    // Without thinking, effort is of words only, which chat can't say; and a provider that gets it would think.
    let word = word.filter(|_| thinking.may).map(Cow::Borrowed);
    Ok(Effort { word: word.or(thinking.budget.map(quoted).map(Cow::Owned)), told: thinking.told })
}

fn thinking(node: &mut Node) -> Result<Thinking, ApiError> {
    let budget = match &*node.needed_kind()? {
        "disabled" => return Ok(Thinking { may: false, budget: None, told: true }),
        // The model decides, as models behind chat do anyway.
        "adaptive" => None,
        "enabled" => Some(budget(node)?),
        _ => return Err(node.wrong("type", "`enabled`, `adaptive` or `disabled`")),
    };
    let told = match node.take("display") {
        None | Some(r#""summarized""#) => true,
        Some(r#""omitted""#) => false,
        Some(_) => return Err(node.wrong("display", "`summarized` or `omitted`")),
    };
    Ok(Thinking { may: true, budget, told })
}

fn budget(node: &mut Node) -> Result<&'static str, ApiError> {
    let tokens = node.take("budget_tokens").and_then(|tokens| tokens.parse::<u64>().ok());
    let tokens = tokens.ok_or_else(|| node.wrong("budget_tokens", "a whole number of tokens"))?;
    Ok(BUDGETS.iter().find(|(fewer, _)| tokens < *fewer).map_or("high", |(_, word)| word))
}
