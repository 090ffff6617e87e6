"""Routes: a public name, several models behind it, and an answer that names the one it is from."""

import anthropic
import openai
import pytest
from chat import chunk, completion
from conftest import refreshed
from gateway import Gateway, grant, model
from upstream import Upstream, events, stream, whole

HELLO = [{"role": "user", "content": "hello"}]
DOWN = whole('{"error":{"message":"down"}}', "503 Service Unavailable")


@pytest.fixture(scope="module")
def front(stranger):
    """A gateway with the route `chat` over two models, each with a provider, and `nobody` over one that is denied."""
    first, second = Upstream(), Upstream()
    models = [
        model("first", f"{first.origin}/v1", "vendor/first"),
        model("second", f"{second.origin}/v1", "vendor/second"),
        model("denied", f"http://127.0.0.1:{stranger.getsockname()[1]}/v1"),
    ]
    grants = [grant(f"{provider.origin}/v1/") for provider in (first, second)]
    routes = [
        {"model": "chat", "candidates": [{"model": "first"}, {"model": "second", "order": 2}]},
        {"model": "fallback", "candidates": [{"model": "denied"}, {"model": "second", "order": 2}]},
    ]
    with Gateway(grants, models, routes=routes) as running:
        yield running, first, second
    first.close()
    second.close()


@pytest.fixture
def first(front):
    """The provider that is asked first, with nothing asked and nothing scripted."""
    return refreshed(front[1], front[0], "first")


@pytest.fixture
def second(front):
    """The one that is asked where the first gives no answer."""
    return refreshed(front[2], front[0], "second")


@pytest.fixture
def client(front):
    """OpenAI's client of this gateway."""
    with openai.OpenAI(base_url=front[0].api, api_key="any", max_retries=0, timeout=30) as client:
        yield client


def test_a_route_is_a_model_like_others(client):
    assert {"chat", "fallback", "first", "second"} <= {model.id for model in client.models.list()}


def test_the_first_model_answers_and_is_named(client, first, second):
    first.answer(whole(completion({"content": "hi"})))
    answer = client.chat.completions.create(model="chat", messages=HELLO)
    assert (answer.model, answer.choices[0].message.content) == ("first", "hi")
    assert b'"model":"vendor/first"' in first.requests[0].body
    assert second.requests == []


def test_another_model_answers_and_is_named(client, first, second):
    first.answer(DOWN, DOWN)
    second.answer(whole(completion({"content": "hi"})))
    answer = client.chat.completions.create(model="chat", messages=HELLO)
    assert (answer.model, answer.choices[0].message.content) == ("second", "hi")
    assert (len(first.requests), len(second.requests)) == (2, 1)
    assert b'"model":"vendor/second"' in second.requests[0].body


def test_another_model_streams_and_is_named_in_each_chunk(client, first, second):
    first.answer(DOWN, DOWN)
    second.answer(stream([events(chunk({"content": "h"}), chunk({"content": "i"}), chunk({}, "stop"))]))
    pieces = list(client.chat.completions.create(model="chat", messages=HELLO, stream=True))
    assert [piece.model for piece in pieces] == ["second"] * 3
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == "hi"


def test_a_model_that_is_denied_is_passed_over(client, second):
    second.answer(whole(completion({"content": "hi"})))
    assert client.chat.completions.create(model="fallback", messages=HELLO).model == "second"


def test_each_dialect_names_the_model(client, front, first, second):
    first.answer(*[DOWN] * 6)
    second.answer(*[whole(completion({"content": "hi"}))] * 3)
    assert client.responses.create(model="chat", input="hello").model == "second"
    assert client.completions.create(model="chat", prompt="hello").model == "second"
    with anthropic.Anthropic(base_url=front[0].url, api_key="any", max_retries=0) as claude:
        assert claude.messages.create(model="chat", messages=HELLO, max_tokens=9).model == "second"


def test_a_clients_mistake_is_no_reason_to_ask_another(client, first, second):
    first.answer(whole('{"error":{"message":"no"}}', "400 Bad Request"))
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="chat", messages=HELLO)
    assert second.requests == []


def test_what_the_last_one_says_is_told_when_all_fail(client, first, second):
    body = '{"error":{"message":"slow down","type":"tokens","param":null,"code":"limit"}}'
    first.answer(DOWN, DOWN)
    second.answer(whole(body, "429 Too Many Requests", retry_after="60"))
    with pytest.raises(openai.RateLimitError) as failure:
        client.chat.completions.create(model="chat", messages=HELLO)
    assert (failure.value.code, failure.value.response.headers["retry-after"]) == ("limit", "60")
    assert (len(first.requests), len(second.requests)) == (2, 1)
