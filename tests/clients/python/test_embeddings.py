"""Embeddings through OpenAI's client, with a fake and a scripted provider."""

import json

import openai
import pytest
from conftest import CLIENT_KEY, PROVIDER_KEY
from model import vector_of
from upstream import whole

# Its numbers and spaces are those that a parser and printer of JSON would change.
ODD_ANSWER = (
    '{ "object":"list", "model":"m","data":[{"object":"embedding","index":0,"embedding":[1.0, -0.5e0,1E-2]}],\n'
    '"usage":{"prompt_tokens":1,"total_tokens":1}, "x_big":123456789012345678901234567890 }'
)


def test_vectors_as_the_client_asks_by_itself(client, fake_provider):
    fake_provider.reset()
    answer = client.embeddings.create(model="fake", input="hello big world")
    # The client asks for base64, which is shorter, and decodes it.
    assert json.loads(fake_provider.requests[0].body)["encoding_format"] == "base64"
    assert (answer.object, answer.model, answer.usage.prompt_tokens) == ("list", "fake", 3)
    assert answer.data[0].embedding == vector_of("hello big world", 4)


def test_vectors_as_numbers(client):
    answer = client.embeddings.create(model="fake", input="hello", encoding_format="float", dimensions=3)
    assert answer.data[0].embedding == vector_of("hello", 3)


def test_vectors_as_base64(client):
    answer = client.embeddings.create(model="fake", input="hello", encoding_format="base64")
    assert isinstance(answer.data[0].embedding, str)


def test_several_inputs_keep_their_order(client):
    texts = [f"text {number} ü" for number in range(300)]
    answer = client.embeddings.create(model="fake", input=texts, dimensions=16)
    assert [(one.index, one.embedding) for one in answer.data] == [
        (index, vector_of(text, 16)) for index, text in enumerate(texts)
    ]


def test_an_exchange_byte_for_byte(client, upstream):
    upstream.answer(whole(ODD_ANSWER))
    raw = client.embeddings.with_raw_response.create(
        model="remote", input=[[1, 2, 3]], encoding_format="float", extra_body={"x_new": {"input_type": [1.50, None]}}
    )
    [request] = upstream.requests
    assert (request.method, request.path) == ("POST", "/v1/embeddings")
    assert request.headers["authorization"] == f"Bearer {PROVIDER_KEY}"
    assert CLIENT_KEY not in repr(request)
    sent = raw.http_request.content
    assert b'"x_new"' in sent
    assert request.body == sent.replace(b'"model":"remote"', b'"model":"vendor/model-1"')
    assert raw.http_response.content == ODD_ANSWER.encode()
    assert raw.parse().data[0].embedding == [1.0, -0.5, 0.01]


def test_who_does_not_make_embeddings_says_so(client):
    with pytest.raises(openai.BadRequestError) as failure:
        client.embeddings.create(model="echo", input="hello")
    assert (failure.value.code, failure.value.param) == ("not_served", "model")
    assert "embeddings" in failure.value.message


def test_an_unknown_model_is_not_found(client):
    with pytest.raises(openai.NotFoundError) as failure:
        client.embeddings.create(model="no-such-model", input="hello")
    assert (failure.value.code, failure.value.param) == ("model_not_found", "model")


@pytest.mark.parametrize("value", [7, None, {"text": "hello"}])
def test_a_wrong_input_is_a_bad_request(client, value):
    with pytest.raises(openai.BadRequestError) as failure:
        client.embeddings.create(model="fake", input="", extra_body={"input": value})
    assert failure.value.param == "input"


def test_a_providers_refusal_comes_in_its_words(client, upstream):
    body = {"error": {"message": "too long", "type": "invalid", "param": "input", "code": "length"}}
    upstream.answer(whole(json.dumps(body), "400 Bad Request"))
    with pytest.raises(openai.BadRequestError) as failure:
        client.embeddings.create(model="remote", input="hello")
    assert failure.value.body == body["error"]


def test_a_failure_is_tried_again(client, upstream):
    upstream.answer(whole("{}", "503 Service Unavailable"), whole(ODD_ANSWER))
    answer = client.embeddings.create(model="remote", input="hello", encoding_format="float")
    assert answer.data[0].index == 0
    assert len(upstream.requests) == 2
