"""OpenAI's client, the gateway, the adapter `openai-compatible` and a real llama.cpp server, end to end."""

import json
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

ASK = {"messages": [{"role": "user", "content": "Once upon a time"}], "max_tokens": 24, "temperature": 0, "seed": 1}


def text(answer):
    """A whole answer's text."""
    return answer.choices[0].message.content


def streamed(client, **rest):
    """A streamed answer's pieces of text, and why it ended."""
    chunks = [chunk.choices[0] for chunk in client.chat.completions.create(**ASK, **rest, stream=True)]
    pieces = [chunk.delta.content for chunk in chunks if chunk.delta.content]
    return pieces, chunks[-1].finish_reason


def test_the_model_is_listed(through):
    assert {model.id for model in through.models.list()} == {"echo", "tiny", "renamed", "elsewhere"}


@pytest.mark.parametrize("name", ["tiny", "renamed"])
def test_a_whole_answer_is_the_servers(through, direct, name):
    gateways = through.chat.completions.create(model=name, **ASK)
    servers = direct.chat.completions.create(model="tiny", **ASK)
    assert len(text(servers)) == 24
    assert text(gateways) == text(servers)
    assert gateways.usage == servers.usage
    assert gateways.choices[0].finish_reason == servers.choices[0].finish_reason == "length"


def test_a_stream_is_the_servers(through, direct):
    pieces, ended = streamed(through, model="tiny")
    assert len(pieces) > 1
    assert (pieces, ended) == streamed(direct, model="tiny")
    assert "".join(pieces) == text(direct.chat.completions.create(model="tiny", **ASK))


def test_a_schema_binds_the_answer(through):
    schema = {"type": "object", "properties": {"answer": {"enum": ["yes", "no"]}}, "required": ["answer"]}
    ask = ASK | {"max_tokens": 200, "response_format": {"type": "json_object", "schema": schema}}
    answer = json.loads(text(through.chat.completions.create(model="tiny", **ask)))
    assert answer["answer"] in ["yes", "no"]


def test_fields_that_only_the_server_knows_reach_it(through, direct):
    ask = ASK | {"temperature": 1, "seed": 7}
    own = {"top_k": 1, "repeat_penalty": 1.0}
    greedy = text(direct.chat.completions.create(model="tiny", **ASK, extra_body={"repeat_penalty": 1.0}))
    assert text(through.chat.completions.create(model="tiny", **ask, extra_body=own)) == greedy


def test_several_at_once(through):
    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(lambda _: text(through.chat.completions.create(model="tiny", **ASK)), range(16)))
    assert len(answers) == 1


def test_another_port_is_denied(through, gateway, stranger):
    before = gateway.metric("hauski_egress_denied_total", adapter="openai-compatible")
    with pytest.raises(openai.InternalServerError) as failure:
        through.chat.completions.create(model="elsewhere", **ASK)
    assert failure.value.code == "egress_denied"
    assert gateway.metric("hauski_egress_denied_total", adapter="openai-compatible") == before + 1
    assert f"127.0.0.1:{stranger.getsockname()[1]}" in gateway.log
    with pytest.raises(BlockingIOError):
        stranger.accept()
