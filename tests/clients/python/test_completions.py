"""Completions, the API before chat, through OpenAI's client."""

import json

import openai
import pytest
from chat import chunk, completion, usage_chunk
from upstream import events, stream, whole

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def test_a_whole_answer(client):
    answer = client.completions.create(model="echo", prompt="hello big world")
    [choice] = answer.choices
    assert (choice.text, choice.finish_reason, choice.index, choice.logprobs) == ("hello big world", "stop", 0, None)
    assert (answer.object, answer.model, answer.usage.total_tokens) == ("text_completion", "echo", 6)
    assert answer.id.startswith("cmpl-")


def test_a_stream(client):
    pieces = list(client.completions.create(model="echo", prompt="hello big world", stream=True))
    assert [piece.choices[0].text for piece in pieces if piece.choices[0].text] == ["hello ", "big ", "world"]
    assert pieces[-1].choices[0].finish_reason == "stop"
    assert {piece.object for piece in pieces} == {"text_completion"}
    assert all(piece.usage is None for piece in pieces)


def test_usage_ends_a_stream_that_asks_for_it(client):
    options = {"include_usage": True}
    *pieces, last = client.completions.create(model="echo", prompt="hello", stream=True, stream_options=options)
    assert (last.choices, last.usage.total_tokens) == ([], 2)
    assert all(piece.usage is None for piece in pieces)


def test_the_prompt_is_the_users_message(client, upstream):
    upstream.answer(whole(completion({"content": "rain"}, "length", usage=USAGE)))
    answer = client.completions.create(
        model="remote",
        prompt=["it will"],
        max_tokens=2,
        stop=["."],
        temperature=0.5,
        seed=7,
        extra_body={"x_new": [1.0]},
    )
    assert (answer.choices[0].text, answer.choices[0].finish_reason) == ("rain", "length")
    assert answer.usage.total_tokens == 5
    assert json.loads(upstream.requests[0].body) == {
        "model": "vendor/model-1",
        "messages": [{"role": "user", "content": "it will"}],
        "max_tokens": 2,
        "stop": ["."],
        "temperature": 0.5,
        "seed": 7,
        "x_new": [1.0],
    }


def test_several_answers(client, upstream):
    both = [
        {"index": at, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        for at, text in enumerate(["sun", "rain"])
    ]
    upstream.answer(whole(json.dumps(json.loads(completion({})) | {"choices": both})))
    answer = client.completions.create(model="remote", prompt="it will", n=2)
    assert [(choice.index, choice.text) for choice in answer.choices] == [(0, "sun"), (1, "rain")]


def test_a_stream_of_a_provider(client, upstream):
    chunks = [chunk({"role": "assistant", "content": ""}), chunk({"content": "ra"}), chunk({"content": "in"})]
    upstream.answer(stream([events(*chunks, chunk({}, "stop"), usage_chunk(USAGE))]))
    options = {"include_usage": True}
    *pieces, last = client.completions.create(model="remote", prompt="it will", stream=True, stream_options=options)
    assert "".join(piece.choices[0].text for piece in pieces) == "rain"
    assert last.usage.total_tokens == 5


@pytest.mark.parametrize(
    ("field", "value"),
    [("suffix", "."), ("echo", True), ("best_of", 2), ("logprobs", 1), ("prompt", ["a", "b"]), ("prompt", [1, 2])],
)
def test_what_chat_can_not_say_is_refused_by_name(client, upstream, field, value):
    with pytest.raises(openai.BadRequestError) as failure:
        client.completions.create(**{"model": "remote", "prompt": "a", field: value})
    assert (failure.value.param, failure.value.code) == (field, "unsupported_parameter")
    assert f"`{field}`" in failure.value.message
    assert upstream.requests == []
