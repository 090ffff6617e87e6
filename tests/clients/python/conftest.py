"""What all tests share: one gateway, its two providers, and clients of the official packages."""

import json
import socket
import urllib.request

import anthropic
import model as fake
import openai
import pytest
from chat import completion
from gateway import Gateway, grant, model
from upstream import Upstream, whole

CLIENT_KEY = "client-key-that-stays-at-the-front"
PROVIDER_KEY = "provider-key-that-only-the-host-knows"


@pytest.fixture(scope="session")
def provider():
    """The provider of the whole run that says what a test scripts."""
    upstream = Upstream()
    yield upstream
    upstream.close()


@pytest.fixture(scope="session")
def fake_provider():
    """The provider of the whole run that does what it is asked, as far as that can be faked."""
    upstream = Upstream(fake.answer)
    yield upstream
    upstream.close()


@pytest.fixture(scope="session")
def stranger():
    """A listener that no grant names; it accepts nothing, so what reaches it stays in its queue."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


@pytest.fixture(scope="session")
def gateway(provider, fake_provider, stranger):
    """A gateway that may reach its providers' `/v1/` and nothing else."""
    secret = {"header": "authorization", "value": "Bearer ${env:PROVIDER_KEY}"}
    models = [
        model("remote", f"{provider.origin}/v1", "vendor/model-1"),
        model("fake", f"{fake_provider.origin}/v1"),
        model("fake-2", f"{fake_provider.origin}/v1"),
        model("other-port", f"http://127.0.0.1:{stranger.getsockname()[1]}/v1"),
        model("other-path", f"{provider.origin}/admin"),
    ]
    grants = [grant(f"{provider.origin}/v1/", secret=secret), grant(f"{fake_provider.origin}/v1/")]
    with Gateway(grants, models, {"PROVIDER_KEY": PROVIDER_KEY}) as running:
        yield running


@pytest.fixture
def upstream(provider, gateway):
    """The scripted provider, with nothing asked and nothing scripted."""
    return refreshed(provider, gateway, "remote")


def refreshed(provider, gateway, model):
    """The provider, with nothing asked and nothing scripted, and its `model` well.

    That it answers once keeps it in use: after ten failures in a row, over all tests, it would not be asked any more.
    """
    provider.reset()
    provider.answer(whole(completion({"content": "well"})))
    body = {"model": model, "messages": [{"role": "user", "content": "are you well?"}]}
    request = urllib.request.Request(f"{gateway.api}/chat/completions", json.dumps(body).encode())
    urllib.request.urlopen(request, timeout=10).close()
    provider.reset()
    return provider


@pytest.fixture
def client(gateway):
    """OpenAI's client as an application would make it; without retries, so that each request is one."""
    with openai.OpenAI(base_url=gateway.api, api_key=CLIENT_KEY, max_retries=0, timeout=30) as client:
        yield client


@pytest.fixture
def claude(gateway):
    """Anthropic's client, likewise."""
    with anthropic.Anthropic(base_url=gateway.url, api_key=CLIENT_KEY, max_retries=0, timeout=30) as client:
        yield client
