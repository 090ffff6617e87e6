"""The served gateway is as its own document says: schemathesis asks, and compares."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import schemathesis
from gateway import Gateway, grant, model
from openapi_hooks import MODEL
from upstream import Upstream, events, whole

HERE = Path(__file__).parent
SECONDS = 300
# So many requests of each path are to be answered, and so many refused.
ENOUGH = 20
USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
COMMON = {"id": "c-1", "created": 1, "model": "m"}


def answer(request):
    """What a provider says that takes everything."""
    if request.path.endswith("/embeddings"):
        data = [{"object": "embedding", "index": 0, "embedding": [0.5]}]
        return whole(json.dumps({"object": "list", "model": "m", "data": data, "usage": USAGE}))
    if json.loads(request.body).get("stream") is not True:
        choice = {"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}
        return whole(json.dumps({**COMMON, "object": "chat.completion", "choices": [choice], "usage": USAGE}))
    choices = [
        {"index": 0, "delta": {"role": "assistant", "content": "hello"}, "finish_reason": None},
        {"index": 0, "delta": {}, "finish_reason": "stop"},
    ]
    chunks = [{**COMMON, "object": "chat.completion.chunk", "choices": [choice]} for choice in choices]
    return whole(events(*map(json.dumps, chunks)), content_type="text/event-stream")


@pytest.fixture(scope="module")
def provider():
    upstream = Upstream(answer)
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def gateway(provider):
    """A gateway with one model behind the provider, which shows all its routes."""
    models = [model(MODEL, f"{provider.origin}/v1"), model("nowhere", f"{provider.origin}/admin")]
    with Gateway([grant(f"{provider.origin}/v1/")], models, expose_config="true") as running:
        yield running


@pytest.fixture(scope="module")
def locked():
    """A gateway that asks for a key; nobody has it."""
    keys = {"keys": [{"name": "nobody", "models": ["*"], "hash": f"sha256:{0:064x}"}]}
    with Gateway(keys_text=json.dumps(keys)) as running:
        yield running


@pytest.fixture(scope="module")
def document(gateway):
    return schemathesis.openapi.from_url(f"{gateway.url}/openapi.json")


def test_schemathesis_finds_nothing(gateway):
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", HERE / "schemathesis.toml"]
    done = subprocess.run(
        [*command, "run", "--no-color", f"{gateway.url}/openapi.json"],
        cwd=gateway.folder,
        env={**os.environ, "PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for path in ASKED:
        # Else it would have found nothing because nothing got through.
        assert gateway.metric("hauski_http_requests_total", path=path, status="200") > ENOUGH, path
        assert gateway.metric("hauski_http_requests_total", path=path, status="400") > ENOUGH, path


HELLO = [{"role": "user", "content": "hello"}]
ASKED = {
    "/v1/chat/completions": {"messages": HELLO},
    "/v1/completions": {"prompt": "hello"},
    "/v1/responses": {"input": "hello"},
    "/v1/messages": {"messages": HELLO, "max_tokens": 9},
    "/v1/embeddings": {"input": "hello"},
}


def ask(document, path, body, method="POST", headers=None, base_url=None):
    """The answer at `path`, after comparing it with the document."""
    operation = document[path]["POST"]
    case = operation.Case(method=method, body=body, media_type="application/json", headers=headers)
    response = case.call(base_url=base_url)
    operation.validate_response(response)
    return response


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("path", [path for path in ASKED if path != "/v1/embeddings"])
def test_answers_of_echo_are_as_documented(document, path, streaming):
    response = ask(document, path, {"model": "echo", "stream": streaming, **ASKED[path]})
    assert response.status_code == 200
    assert response.headers["content-type"] == ["text/event-stream" if streaming else "application/json"]


BAD = '{"error":{"message":"no","type":"t","param":null,"code":"c"}}'


@pytest.mark.parametrize("path", ASKED)
@pytest.mark.parametrize(
    ("status", "change", "said"),
    [
        (400, {"model": 7}, None),
        (403, {"headers": {"host": "evil.test"}}, None),
        (404, {"model": "no-such-model"}, None),
        (405, {"method": "DELETE"}, None),
        (422, {}, "422 Unprocessable Content"),
        (429, {}, "429 Too Many Requests"),
        (502, {}, "503 Service Unavailable"),
        (503, {"model": "nowhere"}, None),
    ],
)
def test_errors_are_as_documented(document, provider, path, status, change, said):
    change = dict(change)
    method, headers = change.pop("method", "POST"), change.pop("headers", None)
    # A failure before the first byte is tried once more.
    provider.answer(*[whole(BAD, said, retry_after="1")] * 3 if said else [])
    response = ask(document, path, {"model": MODEL, **ASKED[path], **change}, method, headers)
    provider.reset()
    if said:
        # After many failures in a row the model would not be asked for a while.
        assert ask(document, path, {"model": MODEL, **ASKED[path]}).status_code == 200
    assert response.status_code == status
    error = response.json()
    assert set(error) == ({"type", "error", "request_id"} if path == "/v1/messages" else {"error"})
    assert error["error"]["message"]
    assert ("allow" in response.headers) == (status == 405)


@pytest.mark.parametrize("path", ASKED)
def test_a_missing_key_is_as_documented(document, locked, path):
    response = ask(document, path, {"model": "echo", **ASKED[path]}, base_url=locked.url)
    assert (response.status_code, response.headers["www-authenticate"]) == (401, ["Bearer"])
    assert (response.json().get("type") == "error") == (path == "/v1/messages")
