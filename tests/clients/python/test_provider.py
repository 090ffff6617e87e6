"""The adapter `openai-compatible` between OpenAI's client and a scripted provider: all goes through, unchanged."""

import base64
import json
import random

import pytest
from chat import chunk, completion, cut
from conftest import CLIENT_KEY, PROVIDER_KEY
from pydantic import BaseModel
from upstream import events, stream, whole

HELLO = [{"role": "user", "content": "hello"}]

# What a parser and printer of JSON would change: spaces, escapes, numbers, the order of keys, fields nobody knows.
ODD_ANSWER = (
    '{ "id":"c-1", "object":"chat.completion","created":1, "model":"vendor\\/model-1",\n'
    '"choices":[{"index":0,"message":{"role":"assistant","content":"h\\u00e9llo \\ud834\\udd1e"},'
    '"finish_reason":"stop"}],'
    '"x_big":123456789012345678901234567890, "x_float":1.0, "x_exp":1E+2, "x_more":{"b":[ ],"a":null} }'
)

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Weather of a place",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "string"}},
            "required": ["place"],
            "additionalProperties": False,
        },
    },
}


def with_providers_name(sent):
    """What the client sent, with the provider's name for the model."""
    assert sent.count(b'"model":"remote"') == 1
    return sent.replace(b'"model":"remote"', b'"model":"vendor/model-1"')


def test_a_whole_exchange_byte_for_byte(client, upstream):
    upstream.answer(whole(ODD_ANSWER))
    unknown = {"x_new_field": {"deep": [1, 2.50, None, "é"], "empty": {}}, "top_k": 40}
    raw = client.chat.completions.with_raw_response.create(model="remote", messages=HELLO, extra_body=unknown)
    [request] = upstream.requests
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.body == with_providers_name(raw.http_request.content)
    assert b'"x_new_field"' in request.body
    assert raw.http_response.content == ODD_ANSWER.encode()
    answer = raw.parse()
    assert answer.choices[0].message.content == "héllo 𝄞"
    assert answer.x_big == 123456789012345678901234567890


def test_a_stream_byte_for_byte(client, upstream):
    chunks = [
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "h\u00e9"}).replace('"created": 1', '"created": 1,"x_new":[ 1E2, 1.0 ]'),
        chunk({"content": "llo 𝄞", "x_reasoning": "because"}),
        chunk({}, "stop"),
    ]
    upstream.answer(stream(cut(events(*chunks), seed=1)))
    raw = client.chat.completions.with_raw_response.create(model="remote", messages=HELLO, stream=True)
    assert raw.http_response.read() == events(*chunks)
    assert upstream.requests[0].body == with_providers_name(raw.http_request.content)


@pytest.mark.parametrize("seed", range(5))
def test_a_stream_is_read_whatever_its_pieces(client, upstream, seed):
    chunks = [chunk({"content": piece}) for piece in ["ü", "✓ ", "𝄞", " data: ", "[DONE]"]]
    upstream.answer(stream(cut(events(*chunks, chunk({}, "stop")), seed)))
    pieces = client.chat.completions.create(model="remote", messages=HELLO, stream=True)
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == "ü✓ 𝄞 data: [DONE]"


def test_tools(client, upstream):
    call = {"id": "call-1", "type": "function", "function": {"name": "weather", "arguments": '{"place": "Köln"}'}}
    upstream.answer(whole(completion({"content": None, "tool_calls": [call]}, "tool_calls")))
    first = client.chat.completions.create(
        model="remote", messages=HELLO, tools=[WEATHER], tool_choice="required", parallel_tool_calls=False
    )
    assert first.choices[0].finish_reason == "tool_calls"
    [asked] = first.choices[0].message.tool_calls
    assert (asked.id, asked.function.name, json.loads(asked.function.arguments)) == (
        "call-1",
        "weather",
        {"place": "Köln"},
    )
    sent = json.loads(upstream.requests[0].body)
    assert (sent["tools"], sent["tool_choice"], sent["parallel_tool_calls"]) == ([WEATHER], "required", False)

    upstream.answer(whole(completion({"content": "rain"})))
    result = {"role": "tool", "tool_call_id": asked.id, "content": '{"sky": "grey"}'}
    messages = [*HELLO, first.choices[0].message.model_dump(exclude_none=True), result]
    second = client.chat.completions.create(model="remote", messages=messages, tools=[WEATHER])
    assert second.choices[0].message.content == "rain"
    assert json.loads(upstream.requests[1].body)["messages"][-2:] == [
        {"role": "assistant", "tool_calls": [call]},
        result,
    ]


def test_tool_calls_in_a_stream(client, upstream):
    def call(index, **rest):
        return chunk({"tool_calls": [{"index": index, **rest}]})

    chunks = [
        chunk({"role": "assistant", "content": None}),
        call(0, id="call-1", type="function", function={"name": "weather", "arguments": ""}),
        call(0, function={"arguments": '{"pla'}),
        call(0, function={"arguments": 'ce": "Köln"}'}),
        call(1, id="call-2", type="function", function={"name": "weather", "arguments": ""}),
        call(1, function={"arguments": '{"place": "Rom"}'}),
        chunk({}, "tool_calls"),
    ]
    upstream.answer(stream(cut(events(*chunks), seed=2)))
    with client.chat.completions.stream(model="remote", messages=HELLO, tools=[WEATHER]) as pieces:
        choice = pieces.get_final_completion().choices[0]
    calls = [(call.id, json.loads(call.function.arguments)) for call in choice.message.tool_calls]
    assert calls == [("call-1", {"place": "Köln"}), ("call-2", {"place": "Rom"})]
    assert choice.finish_reason == "tool_calls"


def test_a_json_schema(client, upstream):
    class Place(BaseModel):
        name: str
        people: int

    upstream.answer(whole(completion({"content": '{"name": "Köln", "people": 1100000}'})))
    answer = client.chat.completions.parse(model="remote", messages=HELLO, response_format=Place)
    assert answer.choices[0].message.parsed == Place(name="Köln", people=1_100_000)
    wanted = json.loads(upstream.requests[0].body)["response_format"]
    assert (wanted["type"], wanted["json_schema"]["strict"]) == ("json_schema", True)
    assert set(wanted["json_schema"]["schema"]["properties"]) == {"name", "people"}


def test_an_image_as_data_uri(client, upstream):
    uri = "data:image/png;base64," + base64.b64encode(random.Random(3).randbytes(2_000_000)).decode()
    parts = [
        {"type": "text", "text": "what is this?"},
        {"type": "image_url", "image_url": {"url": uri, "detail": "low"}},
    ]
    upstream.answer(whole(completion({"content": "noise"})))
    answer = client.chat.completions.create(model="remote", messages=[{"role": "user", "content": parts}])
    assert answer.choices[0].message.content == "noise"
    assert json.loads(upstream.requests[0].body)["messages"][0]["content"] == parts


def test_the_provider_gets_the_hosts_key_and_the_client_never_sees_it(client, gateway, upstream):
    upstream.answer(whole(completion({"content": "ok"})))
    raw = client.chat.completions.with_raw_response.create(model="remote", messages=HELLO)
    [request] = upstream.requests
    assert request.headers["authorization"] == f"Bearer {PROVIDER_KEY}"
    assert CLIENT_KEY not in repr(request)
    assert PROVIDER_KEY not in raw.http_response.text + repr(raw.headers)
    assert PROVIDER_KEY not in gateway.log
