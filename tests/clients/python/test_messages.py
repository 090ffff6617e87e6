"""The Messages API through Anthropic's client, with the echo adapter, a fake model, a scripted provider of chat."""

import base64
import json

import anthropic
import pytest
from chat import chunk, completion, cut, usage_chunk
from pydantic import BaseModel
from upstream import END, events, stream, whole

HELLO = [{"role": "user", "content": "hello big world"}]
WEATHER = {
    "name": "weather",
    "description": "Weather of a place",
    "input_schema": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
}
USAGE = {
    "prompt_tokens": 7,
    "completion_tokens": 5,
    "total_tokens": 12,
    "prompt_tokens_details": {"cached_tokens": 4},
}


class Place(BaseModel):
    """What an answer is parsed to."""

    name: str
    people: int


def ask(claude, model="remote", messages=HELLO, **rest):
    """A request for a message."""
    return claude.messages.create(model=model, messages=messages, max_tokens=100, **rest)


def sent(upstream):
    """The chat request that the provider got last."""
    return json.loads(upstream.requests[-1].body)


def test_a_whole_answer(claude):
    raw = claude.messages.with_raw_response.create(model="echo", messages=HELLO, max_tokens=100)
    message = raw.parse()
    [text] = message.content
    assert (text.type, text.text) == ("text", "hello big world")
    assert (message.type, message.role, message.model) == ("message", "assistant", "echo")
    assert (message.stop_reason, message.stop_sequence) == ("end_turn", None)
    assert (message.usage.input_tokens, message.usage.output_tokens) == (3, 3)
    assert message.id.startswith("msg_")
    assert 'adapter="echo"' in raw.headers["x-hauski-route"]
    assert message._request_id == raw.headers["x-request-id"]


def test_a_stream(claude):
    with claude.messages.stream(model="echo", messages=HELLO, max_tokens=100) as pieces:
        assert list(pieces.text_stream) == ["hello ", "big ", "world"]
        message = pieces.get_final_message()
    assert (message.content[0].text, message.stop_reason) == ("hello big world", "end_turn")
    assert (message.usage.input_tokens, message.usage.output_tokens) == (3, 3)


def test_a_streams_events(claude):
    assert [event.type for event in ask(claude, "echo", stream=True)] == [
        "message_start",
        "content_block_start",
        *["content_block_delta"] * 3,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


def test_text_of_any_script_comes_back(claude):
    text = 'ünï ✓ 𝄞 \u0000 \\ " \n\r\u2028 data: [DONE]\n\n ' + "x" * 100_000
    messages = [{"role": "user", "content": text}]
    assert ask(claude, "echo", messages).content[0].text == text
    with claude.messages.stream(model="echo", messages=messages, max_tokens=100) as pieces:
        assert pieces.get_final_text() == text


def test_settings_reach_the_provider(claude, upstream):
    upstream.answer(whole(completion({"content": "ok"})))
    ask(
        claude,
        system=[{"type": "text", "text": "be short", "cache_control": {"type": "ephemeral"}}],
        stop_sequences=["."],
        metadata={"user_id": "someone"},
        extra_body={"temperature": 0.5, "top_p": 0.25, "x_new": [1.0]},
    )
    assert sent(upstream) == {
        "model": "vendor/model-1",
        "messages": [{"role": "system", "content": "be short"}, *HELLO],
        "max_tokens": 100,
        "stop": ["."],
        "temperature": 0.5,
        "top_p": 0.25,
        "user": "someone",
        "x_new": [1.0],
    }


def test_a_conversation(claude, upstream):
    upstream.answer(whole(completion({"content": "grey"})), whole(completion({"content": "blue"})))
    first = ask(claude)
    messages = [*HELLO, {"role": "assistant", "content": first.content}, {"role": "user", "content": "another"}]
    ask(claude, messages=messages, system="be short")
    assert sent(upstream)["messages"] == [
        {"role": "system", "content": "be short"},
        *HELLO,
        {"role": "assistant", "content": "grey"},
        {"role": "user", "content": "another"},
    ]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("failed", [False, True])
def test_a_tool_and_back(claude, streaming, failed):
    def request(messages):
        rest = {"model": "fake", "messages": messages, "max_tokens": 100, "tools": [WEATHER]}
        if not streaming:
            return claude.messages.create(**rest)
        with claude.messages.stream(**rest) as pieces:
            return pieces.get_final_message()

    messages = [{"role": "user", "content": "the weather in 'Köln ✓'"}]
    first = request(messages)
    [call] = first.content
    assert (first.stop_reason, call.type, call.name, call.input) == (
        "tool_use",
        "tool_use",
        "weather",
        {"place": "Köln ✓"},
    )
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "grey", "is_error": failed}
    messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = request(messages)
    assert second.stop_reason == "end_turn"
    assert second.content[0].text == ("you said: Error: grey" if failed else "you said: grey")


def test_a_tool_that_the_client_runs(claude):
    @anthropic.beta_tool
    def weather(place: str) -> str:
        """Weather of a place."""
        return f"rain in {place}"

    messages = [{"role": "user", "content": "the weather in 'Rom'"}]
    runner = claude.beta.messages.tool_runner(model="fake", messages=messages, max_tokens=100, tools=[weather])
    assert runner.until_done().content[0].text == "you said: rain in Rom"


def test_tools_as_the_provider_sees_them(claude, upstream):
    call = {"id": "call-1", "type": "function", "function": {"name": "weather", "arguments": '{"place":"Köln"}'}}
    upstream.answer(
        whole(completion({"content": "I look", "tool_calls": [call]}, "tool_calls")),
        whole(completion({"content": "rain"})),
    )
    choice = {"type": "tool", "name": "weather", "disable_parallel_tool_use": True}
    first = ask(claude, tools=[WEATHER], tool_choice=choice)
    request = sent(upstream)
    function = {"name": "weather", "description": "Weather of a place", "parameters": WEATHER["input_schema"]}
    assert request["tools"] == [{"type": "function", "function": function}]
    assert request["tool_choice"] == {"type": "function", "function": {"name": "weather"}}
    assert request["parallel_tool_calls"] is False
    assert [block.type for block in first.content] == ["text", "tool_use"]

    result = {"type": "tool_result", "tool_use_id": "call-1", "content": [{"type": "text", "text": "wet"}]}
    answer = [result, {"type": "text", "text": "so?"}]
    ask(claude, messages=[*HELLO, {"role": "assistant", "content": first.content}, {"role": "user", "content": answer}])
    assert sent(upstream)["messages"] == [
        *HELLO,
        {"role": "assistant", "content": "I look", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call-1", "content": "wet"},
        {"role": "user", "content": "so?"},
    ]


@pytest.mark.parametrize(("choice", "chats"), [("auto", "auto"), ("any", "required"), ("none", "none")])
def test_how_tools_are_chosen(claude, upstream, choice, chats):
    upstream.answer(whole(completion({"content": "ok"})))
    ask(claude, tools=[WEATHER], tool_choice={"type": choice})
    assert sent(upstream)["tool_choice"] == chats


def test_several_tool_calls_in_a_stream(claude, upstream):
    def call(index, **rest):
        return chunk({"tool_calls": [{"index": index, **rest}]})

    chunks = [
        chunk({"role": "assistant", "content": "I look"}),
        call(0, id="call-1", type="function", function={"name": "weather", "arguments": ""}),
        call(1, id="call-2", type="function", function={"name": "weather", "arguments": '{"place"'}),
        call(0, function={"arguments": '{"pla'}),
        call(1, function={"arguments": ': "Rom"}'}),
        call(0, function={"arguments": 'ce": "Köln"}'}),
        chunk({}, "tool_calls"),
        usage_chunk(USAGE),
    ]
    upstream.answer(stream(cut(events(*chunks), seed=5)))
    with claude.messages.stream(model="remote", messages=HELLO, max_tokens=100, tools=[WEATHER]) as pieces:
        message = pieces.get_final_message()
    text, *calls = message.content
    assert text.text == "I look"
    assert [(call.id, call.input) for call in calls] == [("call-1", {"place": "Köln"}), ("call-2", {"place": "Rom"})]
    assert (message.stop_reason, message.usage.output_tokens) == ("tool_use", 5)


def test_a_json_schema(claude):
    messages = [{"role": "user", "content": "'Köln' has 1100 people"}]
    message = claude.messages.parse(model="fake", messages=messages, max_tokens=100, output_format=Place)
    assert message.parsed_output == Place(name="Köln", people=1100)


def test_images_and_documents(claude):
    content = [
        {"type": "text", "text": "what?"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": encoded(500)}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": encoded(70)}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "once"}, "title": "A tale"},
    ]
    message = ask(claude, "fake", [{"role": "user", "content": content}])
    assert message.content[0].text == "you said: what? [image/png 500] [application/pdf 70] A tale once"


def encoded(size):
    """So many bytes as base64."""
    return base64.b64encode(bytes(size)).decode()


@pytest.mark.parametrize(
    ("reason", "rest", "expected"),
    [
        ("stop", {}, ("end_turn", None)),
        ("length", {}, ("max_tokens", None)),
        ("content_filter", {}, ("refusal", None)),
        ("stop", {"stop_reason": "END"}, ("stop_sequence", "END")),
        ("stop", {"matched_stop": "END"}, ("stop_sequence", "END")),
        ("stop", {"stop_reason": 2}, ("end_turn", None)),
    ],
)
def test_why_it_ended(claude, upstream, reason, rest, expected):
    answer = json.loads(completion({"content": "ok"}, reason))
    answer["choices"][0] |= rest
    last = json.loads(chunk({}, reason))
    last["choices"][0] |= rest
    upstream.answer(whole(json.dumps(answer)), stream([events(chunk({"content": "ok"}), json.dumps(last))]))
    message = ask(claude, stop_sequences=["END"])
    assert (message.stop_reason, message.stop_sequence) == expected
    with claude.messages.stream(model="remote", messages=HELLO, max_tokens=100, stop_sequences=["END"]) as pieces:
        message = pieces.get_final_message()
    assert (message.stop_reason, message.stop_sequence) == expected


def test_usage(claude, upstream):
    upstream.answer(
        whole(completion({"content": "ok"}, usage=USAGE)),
        stream([events(chunk({"content": "ok"}), chunk({}, "stop"), usage_chunk(USAGE))]),
    )
    whole_answer = ask(claude)
    with claude.messages.stream(model="remote", messages=HELLO, max_tokens=100) as pieces:
        streamed = pieces.get_final_message()
    assert sent(upstream)["stream_options"] == {"include_usage": True}
    for usage in (whole_answer.usage, streamed.usage):
        # What was cached doesn't count as input there.
        assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (3, 4, 5)


def test_thoughts_are_a_block(claude, upstream):
    chunks = [chunk({"reasoning_content": "hm, "}), chunk({"reasoning_content": "hm"}), chunk({"content": "yes"})]
    upstream.answer(
        whole(completion({"reasoning_content": "hm, hm", "content": "yes"})),
        stream([events(*chunks, chunk({}, "stop"))]),
    )
    first = ask(claude)
    with claude.messages.stream(model="remote", messages=HELLO, max_tokens=100) as pieces:
        second = pieces.get_final_message()
    for message in (first, second):
        thoughts, said = message.content
        assert (thoughts.type, thoughts.thinking, said.text) == ("thinking", "hm, hm", "yes")
    upstream.answer(whole(completion({"content": "ok"})))
    ask(
        claude, messages=[*HELLO, {"role": "assistant", "content": first.content}, {"role": "user", "content": "sure?"}]
    )
    assert sent(upstream)["messages"][1] == {"role": "assistant", "content": "yes", "reasoning_content": "hm, hm"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("service_tier", "priority"),
        ("mcp_servers", [{"type": "url", "url": "http://a.example", "name": "a"}]),
        ("container", "c"),
        ("n", 2),
        ("tools[0].type", None),
    ],
)
@pytest.mark.parametrize("streaming", [False, True])
def test_what_chat_can_not_say_is_refused_by_name(claude, upstream, field, value, streaming):
    rest = {"extra_body": {field: value}}
    if field == "tools[0].type":
        rest = {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}
    with pytest.raises(anthropic.BadRequestError) as failure:
        ask(claude, stream=streaming, **rest)
    error = failure.value
    assert (error.status_code, error.type) == (400, "invalid_request_error")
    assert f"`{field}" in error.message
    assert error.body["type"] == "error"
    assert error.body["request_id"] == error.response.headers["x-request-id"]
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("rest", "field"),
    [({"messages": "hello"}, "messages"), ({"max_tokens": "many"}, "max_tokens"), ({"stream": 1}, "stream")],
)
def test_a_wrong_type_is_a_bad_request(claude, rest, field):
    with pytest.raises(anthropic.BadRequestError) as failure:
        ask(claude, "echo", extra_body=rest)
    assert f"`{field}`" in failure.value.message


def test_an_unknown_model_is_not_found(claude):
    with pytest.raises(anthropic.NotFoundError) as failure:
        ask(claude, "no-such-model")
    assert failure.value.type == "not_found_error"
    assert "no-such-model" in failure.value.message


def test_what_is_not_there_is_not_found(claude):
    with pytest.raises(anthropic.NotFoundError) as failure:
        claude.messages.batches.list()
    assert failure.value.type == "not_found_error"


@pytest.mark.parametrize("streaming", [False, True])
def test_too_many_requests_come_as_such(claude, upstream, streaming):
    body = {"error": {"message": "slow down", "type": "tokens", "param": None, "code": "rate_limit_exceeded"}}
    upstream.answer(whole(json.dumps(body), "429 Too Many Requests", retry_after="7"))
    with pytest.raises(anthropic.RateLimitError) as failure:
        ask(claude, stream=streaming)
    assert failure.value.response.headers["retry-after"] == "7"
    assert failure.value.type == "rate_limit_error"
    assert "slow down" in failure.value.message
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("streaming", [False, True])
def test_a_provider_that_fails_twice_is_a_bad_gateway(claude, upstream, streaming):
    down = whole('{"error":{"message":"down"}}', "503 Service Unavailable")
    upstream.answer(down, down)
    with pytest.raises(anthropic.APIStatusError) as failure:
        ask(claude, stream=streaming)
    assert (failure.value.status_code, failure.value.type) == (502, "api_error")
    assert len(upstream.requests) == 2


def test_a_provider_that_fails_once_is_asked_again(claude, upstream):
    upstream.answer(whole("{}", "529 Overloaded"), whole(completion({"content": "ok"})))
    assert ask(claude).content[0].text == "ok"
    assert len(upstream.requests) == 2


@pytest.mark.parametrize("helper", [False, True])
def test_an_error_in_mid_stream_raises(claude, upstream, helper):
    def half():
        yield from (piece for piece in stream([first]) if piece != END)
        raise ConnectionAbortedError

    first = b"data: %b\n\n" % chunk({"content": "half"}).encode()
    upstream.answer(half())
    said = []

    def read():
        if not helper:
            said.extend(event.type for event in ask(claude, stream=True))
            return
        with claude.messages.stream(model="remote", messages=HELLO, max_tokens=100) as pieces:
            said.extend(event.type for event in pieces)

    with pytest.raises(anthropic.APIStatusError) as failure:
        read()
    assert "message_start" in said or helper
    assert "message_stop" not in said
    assert failure.value.type == "api_error"
    assert failure.value.body["error"]["message"]
