"""What agents do with Anthropic's client besides asking: they think, see what tools show, and list models."""

import base64
import json

import anthropic
import pytest
from chat import chunk, completion
from upstream import events, stream, whole

HELLO = [{"role": "user", "content": "hello"}]
IMAGE = base64.b64encode(bytes(500)).decode()


def sent(upstream):
    """The chat request that the provider got last."""
    return json.loads(upstream.requests[-1].body)


@pytest.mark.parametrize(
    ("asked", "effort"),
    [
        ({"thinking": {"type": "adaptive"}}, None),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}, "high"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "low"),
        ({"thinking": {"type": "enabled", "budget_tokens": 10_000}}, "medium"),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}, None),
    ],
)
def test_how_much_is_thought(claude, upstream, asked, effort):
    said = {"content": "grey", "reasoning_content": "Let me see."}
    upstream.answer(whole(completion(said)), stream([events(*map(chunk, [*parts(said)]), chunk({}, "stop"))]))
    whole_answer = claude.messages.create(model="remote", messages=HELLO, max_tokens=20_000, **asked)
    assert sent(upstream).get("reasoning_effort") == effort
    with claude.messages.stream(model="remote", messages=HELLO, max_tokens=20_000, **asked) as pieces:
        streamed = pieces.get_final_message()
    for message in [whole_answer, streamed]:
        thought, text = message.content
        assert (thought.type, thought.thinking, text.text) == ("thinking", "Let me see.", "grey")


def parts(said):
    """What is said, each in a delta of its own, thoughts first."""
    return ({name: said[name]} for name in ["reasoning_content", "content"])


def test_thoughts_that_are_not_wanted(claude, upstream):
    upstream.answer(whole(completion({"content": "grey", "reasoning_content": "Let me see."})))
    thinking = {"type": "adaptive", "display": "omitted"}
    message = claude.messages.create(model="remote", messages=HELLO, max_tokens=100, thinking=thinking)
    assert [block.type for block in message.content] == ["text"]


def test_a_context_that_is_kept(claude, upstream):
    upstream.answer(whole(completion({"content": "ok"})))
    request = {"model": "remote", "messages": HELLO, "max_tokens": 100, "betas": ["context-management-2025-06-27"]}
    keep = {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}
    claude.beta.messages.create(**request, context_management=keep)
    assert "context_management" not in sent(upstream)
    forget = {"edits": [{"type": "clear_tool_uses_20250919"}]}
    with pytest.raises(anthropic.BadRequestError, match=r"`context_management\.edits\[0\]\.type`"):
        claude.beta.messages.create(**request, context_management=forget)


def test_images_that_tools_show(claude):
    call = {"type": "tool_use", "id": "call-1", "name": "look", "input": {}}
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": IMAGE}}
    result = {"type": "tool_result", "tool_use_id": "call-1", "content": [image]}
    messages = [
        *HELLO,
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result, {"type": "text", "text": "what is it?"}]},
    ]
    message = claude.messages.create(model="fake", messages=messages, max_tokens=100)
    assert message.content[0].text == "you said: What the tool call call-1 gave: [image/png 500] what is it?"


def test_which_models_there_are(claude):
    listed = {model.id: model for model in claude.models.list(limit=1)}
    assert {"echo", "remote", "fake"} <= set(listed)
    echo = claude.models.retrieve("echo")
    assert (echo.type, echo.display_name, echo) == ("model", "echo", listed["echo"])
    assert echo.created_at.year >= 2026
    with pytest.raises(anthropic.NotFoundError) as raised:
        claude.models.retrieve("nobody")
    assert raised.value.body["error"]["type"] == "not_found_error"
    assert raised.value.request_id


def test_what_a_message_would_take(claude, upstream):
    words = [{"role": "user", "content": "hello " * 100}]
    counted = claude.messages.count_tokens(model="remote", messages=words, system="be short").input_tokens
    assert 100 < counted < 200
    assert claude.messages.count_tokens(model="remote", messages=HELLO).input_tokens < counted
    with pytest.raises(anthropic.NotFoundError):
        claude.messages.count_tokens(model="nobody", messages=HELLO)
    assert upstream.requests == []
