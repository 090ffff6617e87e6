"""The Responses API through OpenAI's client, with the echo adapter, a fake model, a scripted provider of chat."""

import base64
import json

import openai
import pytest
from chat import chunk, completion, cut, usage_chunk
from pydantic import BaseModel
from upstream import END, events, stream, whole

WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "Weather of a place",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"place": {"type": "string"}},
        "required": ["place"],
        "additionalProperties": False,
    },
}
USAGE = {
    "prompt_tokens": 7,
    "completion_tokens": 5,
    "total_tokens": 12,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 2},
}


class Place(BaseModel):
    """What an answer is parsed to."""

    name: str
    people: int


class Weather(BaseModel):
    """Weather of a place."""

    place: str


def sent(upstream):
    """The chat request that the provider got last."""
    return json.loads(upstream.requests[-1].body)


def test_a_whole_answer(client):
    raw = client.responses.with_raw_response.create(model="echo", input="hello big world")
    answer = raw.parse()
    assert (answer.output_text, answer.status, answer.object) == ("hello big world", "completed", "response")
    assert (answer.model, answer.error, answer.incomplete_details, answer.store) == ("echo", None, None, False)
    assert answer.id.startswith("resp_")
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens) == (3, 3, 6)
    [message] = answer.output
    assert (message.type, message.role, message.status) == ("message", "assistant", "completed")
    assert 'adapter="echo"' in raw.headers["x-hauski-route"]


def test_a_stream(client):
    seen = list(client.responses.create(model="echo", input="hello big world", stream=True))
    assert [event.type for event in seen] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * 3,
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    assert [event.delta for event in seen if event.type == "response.output_text.delta"] == ["hello ", "big ", "world"]
    assert seen[-1].response.usage.total_tokens == 6


def test_the_streaming_helper(client):
    with client.responses.stream(model="echo", input="hello big world") as pieces:
        answer = pieces.get_final_response()
    assert (answer.output_text, answer.status, answer.usage.total_tokens) == ("hello big world", "completed", 6)


def test_text_of_any_script_comes_back(client):
    text = 'ünï ✓ 𝄞 \u0000 \\ " \n\r\u2028 data: [DONE]\n\n ' + "x" * 100_000
    assert client.responses.create(model="echo", input=text).output_text == text
    with client.responses.stream(model="echo", input=text) as pieces:
        assert pieces.get_final_response().output_text == text


def test_a_conversation(client, upstream):
    upstream.answer(whole(completion({"content": "grey"})), whole(completion({"content": "blue"})))
    first = client.responses.create(model="remote", instructions="be short", input="what colour?")
    items = [{"role": "user", "content": "what colour?"}, *first.output, {"role": "developer", "content": "be gay"}]
    items.append({"role": "user", "content": [{"type": "input_text", "text": "another"}]})
    client.responses.create(model="remote", instructions="be short", input=items)
    assert sent(upstream)["messages"] == [
        {"role": "system", "content": "be short\n\nbe gay"},
        {"role": "user", "content": "what colour?"},
        {"role": "assistant", "content": "grey"},
        {"role": "user", "content": "another"},
    ]


def test_settings_reach_the_provider(client, upstream):
    upstream.answer(whole(completion({"content": "ok"})))
    answer = client.responses.create(
        model="remote",
        input="hello",
        max_output_tokens=9,
        temperature=0.5,
        top_p=0.25,
        metadata={"a": "b"},
        reasoning={"effort": "low"},
        text={"verbosity": "low"},
        user="someone",
        extra_body={"x_new": [1.0]},
    )
    assert sent(upstream) == {
        "model": "vendor/model-1",
        "messages": [{"role": "user", "content": "hello"}],
        "max_completion_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.25,
        "metadata": {"a": "b"},
        "reasoning_effort": "low",
        "verbosity": "low",
        "user": "someone",
        "x_new": [1.0],
    }
    assert (answer.max_output_tokens, answer.temperature, answer.metadata) == (9, 0.5, {"a": "b"})


def test_usage(client, upstream):
    upstream.answer(
        whole(completion({"content": "ok"}, usage=USAGE)),
        stream([events(chunk({"content": "ok"}), chunk({}, "stop"), usage_chunk(USAGE))]),
    )
    whole_answer = client.responses.create(model="remote", input="hello")
    with client.responses.stream(model="remote", input="hello") as pieces:
        streamed = pieces.get_final_response()
    assert sent(upstream)["stream_options"] == {"include_usage": True}
    for usage in (whole_answer.usage, streamed.usage):
        assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (7, 5, 12)
        assert (usage.input_tokens_details.cached_tokens, usage.output_tokens_details.reasoning_tokens) == (4, 2)


def test_an_answer_that_is_cut_off_is_incomplete(client):
    whole_answer = client.responses.create(model="fake", input="one two three", max_output_tokens=2)
    *_, last = client.responses.create(model="fake", input="one two three", max_output_tokens=2, stream=True)
    assert last.type == "response.incomplete"
    for answer in (whole_answer, last.response):
        assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "max_output_tokens")
        assert (answer.output_text, answer.output[-1].status) == ("you said:", "incomplete")


@pytest.mark.parametrize("streaming", [False, True])
def test_a_tool_and_back(client, streaming):
    def ask(items):
        if not streaming:
            return client.responses.create(model="fake", input=items, tools=[WEATHER])
        with client.responses.stream(model="fake", input=items, tools=[WEATHER]) as pieces:
            return pieces.get_final_response()

    items = [{"role": "user", "content": "the weather in 'Köln ✓'"}]
    first = ask(items)
    [call] = first.output
    assert (call.type, call.name, call.status) == ("function_call", "weather", "completed")
    assert json.loads(call.arguments) == {"place": "Köln ✓"}
    items += first.output
    items.append({"type": "function_call_output", "call_id": call.call_id, "output": '{"sky": "grey"}'})
    second = ask(items)
    assert second.output_text == 'you said: {"sky": "grey"}'


def test_tools_as_the_provider_sees_them(client, upstream):
    call = {"id": "call-1", "type": "function", "function": {"name": "weather", "arguments": '{"place": "Köln"}'}}
    upstream.answer(
        whole(completion({"content": "I look", "tool_calls": [call]}, "tool_calls")),
        whole(completion({"content": "rain"})),
    )
    choice = {"type": "function", "name": "weather"}
    first = client.responses.create(
        model="remote", input="?", tools=[WEATHER], tool_choice=choice, parallel_tool_calls=False
    )
    function = {name: value for name, value in WEATHER.items() if name != "type"}
    request = sent(upstream)
    assert request["tools"] == [{"type": "function", "function": function}]
    assert request["tool_choice"] == {"type": "function", "function": {"name": "weather"}}
    assert request["parallel_tool_calls"] is False
    assert [item.type for item in first.output] == ["message", "function_call"]
    items = [{"role": "user", "content": "?"}, *first.output]
    items.append(
        {"type": "function_call_output", "call_id": "call-1", "output": [{"type": "input_text", "text": "wet"}]}
    )
    second = client.responses.create(model="remote", input=items)
    assert second.output_text == "rain"
    assert sent(upstream)["messages"] == [
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": "I look", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call-1", "content": "wet"},
    ]


def test_several_tool_calls_in_a_stream(client, upstream):
    def call(index, **rest):
        return chunk({"tool_calls": [{"index": index, **rest}]})

    chunks = [
        chunk({"role": "assistant", "content": None}),
        call(0, id="call-1", type="function", function={"name": "weather", "arguments": ""}),
        call(1, id="call-2", type="function", function={"name": "weather", "arguments": '{"place"'}),
        call(0, function={"arguments": '{"pla'}),
        call(1, function={"arguments": ': "Rom"}'}),
        call(0, function={"arguments": 'ce": "Köln"}'}),
        chunk({}, "tool_calls"),
    ]
    upstream.answer(stream(cut(events(*chunks), seed=4)))
    with client.responses.stream(model="remote", input="?", tools=[WEATHER]) as pieces:
        answer = pieces.get_final_response()
    calls = [(item.call_id, json.loads(item.arguments)) for item in answer.output]
    assert calls == [("call-1", {"place": "Köln"}), ("call-2", {"place": "Rom"})]


def test_parsed_arguments(client):
    tool = openai.pydantic_function_tool(Weather)["function"]
    tools = [{"type": "function", **tool}]
    answer = client.responses.parse(model="fake", input="weather in 'Rom'", tools=tools, tool_choice="required")
    assert answer.output[0].parsed_arguments == {"place": "Rom"}


def test_a_json_schema(client):
    answer = client.responses.parse(model="fake", input="'Köln' has 1100000 people", text_format=Place)
    assert answer.output_parsed == Place(name="Köln", people=1_000_000)
    with client.responses.stream(model="fake", input="'Rom' has 7 people", text_format=Place) as pieces:
        assert pieces.get_final_response().output_parsed == Place(name="Rom", people=7)


def test_a_json_schema_as_the_provider_sees_it(client, upstream):
    upstream.answer(whole(completion({"content": '{"name": "Köln", "people": 1100000}'})))
    answer = client.responses.parse(model="remote", input="?", text_format=Place)
    assert answer.output_parsed == Place(name="Köln", people=1_100_000)
    wanted = sent(upstream)["response_format"]
    assert (wanted["type"], wanted["json_schema"]["name"], wanted["json_schema"]["strict"]) == (
        "json_schema",
        "Place",
        True,
    )
    assert set(wanted["json_schema"]["schema"]["properties"]) == {"name", "people"}


def test_reasoning_is_an_item(client, upstream):
    message = {"reasoning_content": "hm, hm", "content": "yes"}
    chunks = [chunk({"reasoning_content": "hm, "}), chunk({"reasoning_content": "hm"}), chunk({"content": "yes"})]
    upstream.answer(whole(completion(message)), stream([events(*chunks, chunk({}, "stop"))]))
    first = client.responses.create(model="remote", input="?")
    with client.responses.stream(model="remote", input="?") as pieces:
        second = pieces.get_final_response()
    for answer in (first, second):
        thoughts, said = answer.output
        assert (thoughts.type, thoughts.content[0].text, thoughts.content[0].type) == (
            "reasoning",
            "hm, hm",
            "reasoning_text",
        )
        assert said.content[0].text == answer.output_text == "yes"

    upstream.answer(whole(completion({"content": "ok"})))
    client.responses.create(model="remote", input=[*first.output, {"role": "user", "content": "sure?"}])
    assert sent(upstream)["messages"] == [
        {"role": "assistant", "content": "yes", "reasoning_content": "hm, hm"},
        {"role": "user", "content": "sure?"},
    ]


def test_a_refusal_is_a_part_of_its_own(client, upstream):
    upstream.answer(whole(completion({"content": None, "refusal": "I will not"})))
    [message] = client.responses.create(model="remote", input="?").output
    assert (message.content[0].type, message.content[0].refusal) == ("refusal", "I will not")


def test_an_image_and_a_file(client):
    image = {"type": "input_image", "image_url": data_url("image/png", 500), "detail": "low"}
    file = {"type": "input_file", "filename": "a.pdf", "file_data": data_url("application/pdf", 70)}
    parts = [{"type": "input_text", "text": "what?"}, image, file]
    answer = client.responses.create(model="fake", input=[{"role": "user", "content": parts}])
    assert answer.output_text == "you said: what? [image/png 500] [application/pdf 70]"


def data_url(kind, size):
    """A `data:` URL of so many bytes."""
    return f"data:{kind};base64,{base64.b64encode(bytes(size)).decode()}"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("store", True),
        ("previous_response_id", "resp_1"),
        ("background", True),
        ("conversation", "conv_1"),
        ("truncation", "auto"),
    ],
)
@pytest.mark.parametrize("streaming", [False, True])
def test_what_would_have_to_be_stored_is_refused_by_name(client, upstream, field, value, streaming):
    with pytest.raises(openai.BadRequestError) as failure:
        client.responses.create(**{"model": "remote", "input": "hello", "stream": streaming, field: value})
    assert (failure.value.param, failure.value.code) == (field, "unsupported_parameter")
    assert f"`{field}`" in failure.value.message
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("tool", "param"),
    [({"type": "web_search"}, "tools[0].type"), ({"type": "mcp", "server_label": "x"}, "tools[0].type")],
)
def test_tools_that_nobody_runs_are_refused_by_place(client, tool, param):
    with pytest.raises(openai.BadRequestError) as failure:
        client.responses.create(model="echo", input="hello", tools=[tool])
    assert failure.value.param == param


@pytest.mark.parametrize(
    "value", [7, None, [{"role": "nobody", "content": "x"}], [{"type": "item_reference", "id": "x"}]]
)
def test_a_wrong_input_is_a_bad_request(client, value):
    with pytest.raises(openai.BadRequestError) as failure:
        client.responses.create(model="echo", input="", extra_body={"input": value})
    assert failure.value.param.startswith("input")


def test_what_is_stored_nowhere_is_not_found(client):
    for ask in (client.responses.retrieve, client.responses.delete, client.responses.cancel):
        with pytest.raises(openai.NotFoundError):
            ask("resp_1")


def test_an_unknown_model_is_not_found(client):
    with pytest.raises(openai.NotFoundError) as failure:
        client.responses.create(model="no-such-model", input="hello")
    assert (failure.value.code, failure.value.param) == ("model_not_found", "model")


@pytest.mark.parametrize("streaming", [False, True])
def test_too_many_requests_come_as_such(client, upstream, streaming):
    body = {"error": {"message": "slow down", "type": "tokens", "param": None, "code": "rate_limit_exceeded"}}
    upstream.answer(whole(json.dumps(body), "429 Too Many Requests", retry_after="7"))
    with pytest.raises(openai.RateLimitError) as failure:
        client.responses.create(model="remote", input="hello", stream=streaming)
    assert failure.value.response.headers["retry-after"] == "7"
    assert failure.value.body == body["error"]


def test_half_a_stream_is_no_whole_one(client, upstream):
    def half():
        yield from (piece for piece in stream([first]) if piece != END)
        raise ConnectionAbortedError

    first = b"data: %b\n\n" % chunk({"content": "half"}).encode()
    upstream.answer(half())
    said = []
    with pytest.raises(openai.APIError) as failure:
        said.extend(client.responses.create(model="remote", input="hello", stream=True))
    assert [event.delta for event in said if event.type == "response.output_text.delta"] == ["half"]
    assert not any(event.type == "response.completed" for event in said)
    assert failure.value.message
