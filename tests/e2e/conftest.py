"""A real llama.cpp server with a tiny model, and a gateway that may reach it and nothing else."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import openai
import pytest
from gateway import Gateway, grant, model
from make_model import write

START_SECONDS = 60


@pytest.fixture(scope="session")
def llama_cpp(tmp_path_factory):
    """The server's base URL."""
    folder = tmp_path_factory.mktemp("llama-cpp")
    write(folder / "tiny.gguf")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "llama_cpp.server", "--model", "tiny.gguf", "--model_alias", "tiny"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--n_ctx", "512", "--n_threads", "1"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ)
        try:
            wait_for(f"http://127.0.0.1:{port}/v1/models", server, folder / "log")
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()
            server.wait(15)


def wait_for(url, server, log):
    """Waits until the server answers."""
    for _ in range(START_SECONDS * 10):
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except urllib.error.URLError:
            assert server.poll() is None, log.read_text()
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"the server did not answer:\n{log.read_text()}")


@pytest.fixture(scope="session")
def stranger():
    """A listener that no grant names; it accepts nothing, so what reaches it stays in its queue."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


@pytest.fixture(scope="session")
def gateway(llama_cpp, stranger):
    """A gateway that may reach the server's `/v1/`."""
    elsewhere = f"http://127.0.0.1:{stranger.getsockname()[1]}/v1"
    models = [model("tiny", llama_cpp), model("renamed", llama_cpp, "tiny"), model("elsewhere", elsewhere)]
    with Gateway([grant(f"{llama_cpp}/")], models) as running:
        yield running


@pytest.fixture(scope="session")
def through(gateway):
    """OpenAI's client, by way of the gateway."""
    with openai.OpenAI(base_url=gateway.api, api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture(scope="session")
def direct(llama_cpp):
    """OpenAI's client, straight to the server."""
    with openai.OpenAI(base_url=llama_cpp, api_key="any", max_retries=0) as client:
        yield client
