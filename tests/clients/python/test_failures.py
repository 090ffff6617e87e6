"""What OpenAI's client makes of a provider that refuses, breaks off or is out of bounds."""

import json

import openai
import pytest
from chat import chunk, completion
from upstream import END, events, stream, whole

HELLO = [{"role": "user", "content": "hello"}]
HALF = (
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m",'
    b'"choices":[{"index":0,"delta":{"content":"half"}}]}\n\n'
)


def ask(client, model="remote", **rest):
    """A request that is only asked for its failure."""
    return client.chat.completions.create(model=model, messages=HELLO, **rest)


def test_too_many_requests_come_as_such(client, upstream):
    body = {"error": {"message": "slow down", "type": "tokens", "param": None, "code": "rate_limit_exceeded", "x": [1]}}
    upstream.answer(whole(json.dumps(body), "429 Too Many Requests", retry_after="7"))
    with pytest.raises(openai.RateLimitError) as failure:
        ask(client)
    assert failure.value.response.headers["retry-after"] == "7"
    assert failure.value.body == body["error"]


def test_a_clients_mistake_comes_in_the_providers_words(client, upstream):
    body = {"error": {"message": "temperature is too high", "type": "invalid", "param": "temperature", "code": "range"}}
    upstream.answer(whole(json.dumps(body), "400 Bad Request"))
    with pytest.raises(openai.BadRequestError) as failure:
        ask(client)
    assert (failure.value.param, failure.value.code) == ("temperature", "range")


def test_a_refused_key_is_the_gateways_matter(client, upstream):
    upstream.answer(whole('{"error":{"message":"bad key"}}', "401 Unauthorized"))
    with pytest.raises(openai.InternalServerError) as failure:
        ask(client)
    assert (failure.value.status_code, failure.value.code) == (502, "upstream_unauthorized")
    assert "bad key" not in failure.value.response.text


@pytest.mark.parametrize(
    ("answer", "tries"),
    [
        (whole("<html>It works</html>", content_type="text/html"), 1),
        (whole("[]"), 1),
        (whole('{"error":{"message":"overloaded"}}', "503 Service Unavailable"), 2),
        (whole('{"error":{"message":"boom"}}'), 1),
        ([b"not HTTP at all\r\n\r\n"], 1),
        ([b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\nconnection: close\r\n\r\n{}"], 1),
        ([], 2),
    ],
    ids=["a page", "an array", "503", "an error in good clothes", "no HTTP", "half a body", "nothing"],
)
@pytest.mark.parametrize("streaming", [False, True])
def test_no_answer_is_taken_for_one(client, upstream, answer, tries, streaming):
    upstream.answer(closing(answer), closing(answer))
    with pytest.raises(openai.InternalServerError) as failure:
        list(ask(client, stream=streaming))
    assert failure.value.status_code == 502
    assert failure.value.body["message"]
    assert len(upstream.requests) == tries


@pytest.mark.parametrize(
    "failure",
    [
        [],
        whole("{}", "503 Service Unavailable"),
        whole("{}", "500 Internal Server Error"),
        whole("{}", "429 Too Many Requests", retry_after="1"),
    ],
    ids=["nothing", "503", "500", "429 for a second"],
)
@pytest.mark.parametrize("streaming", [False, True])
def test_a_failure_that_passes_is_none(client, upstream, failure, streaming):
    answer = stream([HALF, events(chunk({}, "stop"))]) if streaming else whole(completion({"content": "half"}))
    upstream.answer(closing(failure), answer)
    if streaming:
        pieces = list(ask(client, stream=True))
        assert [piece.choices[0].delta.content for piece in pieces] == ["half", None]
    else:
        assert ask(client).choices[0].message.content == "half"
    first, second = upstream.requests
    assert first.body == second.body


def closing(answer):
    """The answer, after which the provider hangs up."""
    yield from answer
    raise ConnectionAbortedError


def test_half_a_stream_is_no_whole_one(client, upstream):
    upstream.answer(closing(piece for piece in stream([HALF]) if piece != END))
    pieces = iter(ask(client, stream=True))
    assert next(pieces).choices[0].delta.content == "half"
    with pytest.raises(openai.APIError):
        next(pieces)


def test_a_client_that_leaves_takes_the_provider_along(client, upstream):
    def forever():
        while True:
            yield HALF

    upstream.answer(stream(forever()))
    pieces = ask(client, stream=True)
    assert next(iter(pieces)).choices[0].delta.content == "half"
    assert not upstream.left.is_set()
    pieces.close()
    assert upstream.left.wait(10), "the provider still sends"


@pytest.mark.parametrize("model", ["other-port", "other-path"])
@pytest.mark.parametrize("streaming", [False, True])
def test_what_no_grant_names_is_not_reached(client, gateway, upstream, stranger, model, streaming):
    before = gateway.metric("hauski_egress_denied_total", adapter="openai-compatible")
    with pytest.raises(openai.InternalServerError) as failure:
        list(ask(client, model, stream=streaming))
    assert (failure.value.status_code, failure.value.code) == (503, "no_grant")
    # The adapter was not even run.
    assert gateway.metric("hauski_egress_denied_total", adapter="openai-compatible") == before
    assert upstream.requests == []
    with pytest.raises(BlockingIOError):
        stranger.accept()
