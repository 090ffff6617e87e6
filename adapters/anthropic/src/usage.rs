//! How many tokens it took, in both dialects.

use serde::{Deserialize, Serialize};

/// Anthropic's count, or as much of it as an event tells. What was read from a cache or written to one is not in `input_tokens`.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(crate) struct Usage {
    input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct OutputDetails {
    thinking_tokens: Option<u64>,
}

/// Chat's count.
#[derive(Debug, Serialize)]
pub(crate) struct Tokens {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptDetails,
    #[serde(skip_serializing_if = "Option::is_none")]
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Debug, Serialize)]
struct PromptDetails {
    cached_tokens: u64,
}

#[derive(Debug, Serialize)]
struct CompletionDetails {
    reasoning_tokens: u64,
}

impl Usage {
    /// Takes in a later count. Each number is the total so far: it replaces, and is never added.
    ///
    /// What a prompt took is known from the beginning, and does not become nothing: servers that count only the answer at the end
    /// write 0 there.
    pub(crate) fn update(&mut self, later: Self) {
        let prompt = |later: Option<u64>, before: Option<u64>| later.filter(|count| *count > 0).or(before).or(later);
        *self = Self {
            input_tokens: prompt(later.input_tokens, self.input_tokens),
            cache_creation_input_tokens: prompt(later.cache_creation_input_tokens, self.cache_creation_input_tokens),
            cache_read_input_tokens: prompt(later.cache_read_input_tokens, self.cache_read_input_tokens),
            output_tokens: later.output_tokens.or(self.output_tokens),
            output_tokens_details: later.output_tokens_details.or(self.output_tokens_details),
        };
    }

    /// The same in chat's form, where what was cached counts as part of the prompt; `None` if nothing was told.
    pub(crate) fn tokens(self) -> Option<Tokens> {
        self.input_tokens.or(self.output_tokens)?;
        let cached_tokens = self.cache_read_input_tokens.unwrap_or_default();
        let parts = [self.input_tokens, self.cache_creation_input_tokens, Some(cached_tokens)];
        let prompt_tokens = parts.into_iter().flatten().fold(0_u64, u64::saturating_add);
        let completion_tokens = self.output_tokens.unwrap_or_default();
        let reasoning = self.output_tokens_details.and_then(|details| details.thinking_tokens);
        Some(Tokens {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens.saturating_add(completion_tokens),
            prompt_tokens_details: PromptDetails { cached_tokens },
            completion_tokens_details: reasoning.map(|reasoning_tokens| CompletionDetails { reasoning_tokens }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts in the order in which they come, and what chat is told in the end.
    #[track_caller]
    fn check(counts: &[&str], expected: &str) {
        let mut usage = Usage::default();
        for count in counts {
            usage.update(serde_json::from_str(count).unwrap());
        }
        assert_eq!(serde_json::to_string(&usage.tokens()).unwrap(), expected, "{counts:?}");
    }

    #[test]
    fn what_was_cached_is_part_of_the_prompt() {
        check(
            &[
                r#"{"input_tokens":1,"cache_creation_input_tokens":20,"cache_read_input_tokens":300,"output_tokens":4000,"service_tier":"standard"}"#,
            ],
            r#"{"prompt_tokens":321,"completion_tokens":4000,"total_tokens":4321,"prompt_tokens_details":{"cached_tokens":300}}"#,
        );
        check(
            &[
                r#"{"input_tokens":1,"cache_read_input_tokens":null,"output_tokens":5,"output_tokens_details":{"thinking_tokens":4}}"#,
            ],
            r#"{"prompt_tokens":1,"completion_tokens":5,"total_tokens":6,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":4}}"#,
        );
        check(&["{}"], "null");
    }

    #[test]
    fn later_counts_replace() {
        check(
            &[
                r#"{"input_tokens":10,"cache_read_input_tokens":2,"output_tokens":1}"#,
                r#"{"output_tokens":7}"#,
                r#"{"output_tokens":9,"input_tokens":11}"#,
            ],
            r#"{"prompt_tokens":13,"completion_tokens":9,"total_tokens":22,"prompt_tokens_details":{"cached_tokens":2}}"#,
        );
        let told = r#"{"prompt_tokens":12,"completion_tokens":7,"total_tokens":19,"prompt_tokens_details":{"cached_tokens":2}}"#;
        let first = r#"{"input_tokens":10,"cache_read_input_tokens":2,"output_tokens":1}"#;
        let zeros =
            r#"{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":7}"#;
        check(&[first, zeros], told);
        check(&[zeros, first, r#"{"input_tokens":null,"output_tokens":7}"#], told);
        check(
            &[zeros],
            r#"{"prompt_tokens":0,"completion_tokens":7,"total_tokens":7,"prompt_tokens_details":{"cached_tokens":0}}"#,
        );
    }
}
