"""The echo adapter through OpenAI's client: what works offline, with the shipped adapters and no grant."""

import asyncio

import openai
import pytest

HELLO = [{"role": "user", "content": "hello big world"}]


def test_the_models_that_can_be_asked_are_listed(client):
    models = {model.id: model for model in client.models.list()}
    assert set(models) == {"echo", "remote", "fake", "fake-2"}
    assert models["echo"].owned_by == "echo"
    assert models["echo"].object == "model"


def test_a_whole_answer(client):
    raw = client.chat.completions.with_raw_response.create(model="echo", messages=HELLO)
    answer = raw.parse()
    choice = answer.choices[0]
    assert (choice.message.role, choice.message.content) == ("assistant", "hello big world")
    assert (choice.finish_reason, answer.model, answer.object) == ("stop", "echo", "chat.completion")
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens == 6
    assert 'adapter="echo"' in raw.headers["x-hauski-route"]
    assert "locality=local" in raw.headers["x-hauski-route"]
    assert raw.headers["x-request-id"]


def test_a_stream(client):
    chunks = list(client.chat.completions.create(model="echo", messages=HELLO, stream=True))
    deltas = [chunk.choices[0].delta for chunk in chunks]
    assert deltas[0].role == "assistant"
    assert [delta.content for delta in deltas if delta.content] == ["hello ", "big ", "world"]
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert len({chunk.id for chunk in chunks}) == 1
    assert all(chunk.usage is None for chunk in chunks)


def test_usage_ends_a_stream_that_asks_for_it(client):
    options = {"include_usage": True}
    chunks = list(client.chat.completions.create(model="echo", messages=HELLO, stream=True, stream_options=options))
    assert chunks[-1].choices == []
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (3, 3)
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_text_of_any_script_comes_back(client):
    text = 'ünï ✓ 𝄞 \u0000 \\ " \n\r\u2028 data: [DONE]\n\n ' + "x" * 100_000
    messages = [{"role": "user", "content": text}]
    assert client.chat.completions.create(model="echo", messages=messages).choices[0].message.content == text
    pieces = client.chat.completions.create(model="echo", messages=messages, stream=True)
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == text


def test_an_unknown_model_is_not_found(client):
    with pytest.raises(openai.NotFoundError) as failure:
        client.chat.completions.create(model="no-such-model", messages=HELLO)
    error = failure.value
    assert (error.code, error.param, error.type) == ("model_not_found", "model", "invalid_request_error")
    assert "no-such-model" in error.message
    assert error.request_id


@pytest.mark.parametrize(
    ("field", "value"),
    [("messages", "hello"), ("messages", None), ("stream", "yes"), ("model", 7), ("model", None)],
)
def test_a_wrong_type_is_a_bad_request(client, field, value):
    with pytest.raises(openai.BadRequestError) as failure:
        client.chat.completions.create(**{"model": "echo", "messages": HELLO, "extra_body": {field: value}})
    assert (failure.value.param, failure.value.type) == (field, "invalid_request_error")
    assert f"`{field}`" in failure.value.message


def test_an_error_before_the_first_chunk_has_its_status(client):
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="echo", messages=[], stream=True)


def test_many_at_once_each_get_their_own(gateway):
    async def ask(client, number):
        messages = [{"role": "user", "content": f"number {number}"}]
        if number % 2:
            return (await client.chat.completions.create(model="echo", messages=messages)).choices[0].message.content
        pieces = await client.chat.completions.create(model="echo", messages=messages, stream=True)
        return "".join([piece.choices[0].delta.content or "" async for piece in pieces])

    async def all_of_them():
        async with openai.AsyncOpenAI(base_url=gateway.api, api_key="any", max_retries=0) as client:
            return await asyncio.gather(*(ask(client, number) for number in range(100)))

    assert asyncio.run(all_of_them()) == [f"number {number}" for number in range(100)]
