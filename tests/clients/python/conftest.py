"""What all tests share: one gateway, one scripted provider, and clients of the official package."""

import socket

import openai
import pytest
from gateway import Gateway, grant, model
from upstream import Upstream

CLIENT_KEY = "client-key-that-stays-at-the-front"
PROVIDER_KEY = "provider-key-that-only-the-host-knows"


@pytest.fixture(scope="session")
def provider():
    """The provider of the whole run."""
    upstream = Upstream()
    yield upstream
    upstream.close()


@pytest.fixture(scope="session")
def stranger():
    """A listener that no grant names; it accepts nothing, so what reaches it stays in its queue."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


@pytest.fixture(scope="session")
def gateway(provider, stranger):
    """A gateway that may reach the provider's `/v1/` and nothing else."""
    secret = {"header": "authorization", "value": "Bearer ${env:PROVIDER_KEY}"}
    models = [
        model("remote", f"{provider.origin}/v1", "vendor/model-1"),
        model("other-port", f"http://127.0.0.1:{stranger.getsockname()[1]}/v1"),
        model("other-path", f"{provider.origin}/admin"),
    ]
    grants = [grant(f"{provider.origin}/v1/", secret=secret)]
    with Gateway(grants, models, {"PROVIDER_KEY": PROVIDER_KEY}) as running:
        yield running


@pytest.fixture
def upstream(provider):
    """The provider, with nothing asked and nothing scripted."""
    provider.reset()
    return provider


@pytest.fixture
def client(gateway):
    """OpenAI's client as an application would make it; without retries, so that each request is one."""
    with openai.OpenAI(base_url=gateway.api, api_key=CLIENT_KEY, max_retries=0, timeout=30) as client:
        yield client
