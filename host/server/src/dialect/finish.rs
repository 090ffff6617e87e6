//! Why a model's answer ended, in the words of all kinds of providers.
//!
//! In goes a `finish_reason`; out comes what it means, or an error: a word that nobody knows may not look like a good end.

use super::broke;
use crate::error::ApiError;
use crate::json::decoded;
use crate::work::visit;

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    /// It is complete.
    Stop,
    /// There was no room for more.
    Length,
    /// The model wants tools to be called.
    Calls,
    /// What would have come is kept back.
    Filter,
}

impl Finish {
    /// What `reason`, a JSON string, means; none if it is empty, which some providers write while there is no reason.
    pub(super) fn of(reason: &str) -> Result<Option<Self>, ApiError> {
        visit(reason.len());
        Ok(Some(match &*decoded(reason).to_ascii_lowercase() {
            "" => return Ok(None),
            "stop" | "eos" | "eos_token" | "stop_sequence" | "end_turn" | "load" => Self::Stop,
            "length" | "max_tokens" | "max_length" | "model_length" => Self::Length,
            "tool_calls" | "function_call" | "tool_use" => Self::Calls,
            "content_filter" | "safety" | "recitation" | "refusal" => Self::Filter,
            _ => return Err(broke("ended with a `finish_reason` that is no good end")),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons() {
        for (reason, expected) in [
            ("", Some(None)),
            ("stop", Some(Some(Finish::Stop))),
            ("STOP", Some(Some(Finish::Stop))),
            ("eos_token", Some(Some(Finish::Stop))),
            ("model_length", Some(Some(Finish::Length))),
            ("tool_calls", Some(Some(Finish::Calls))),
            ("content_filter", Some(Some(Finish::Filter))),
            ("error", None),
            ("abort", None),
            ("insufficient_system_resource", None),
            ("something new", None),
        ] {
            assert_eq!(Finish::of(&format!("\"{reason}\"")).ok(), expected, "{reason}");
        }
    }
}
