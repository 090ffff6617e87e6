"""LangChain's standard suite for chat models, over its client for OpenAI, through the gateway, to a fake model.

The gateway and what LangChain makes of its answers are under test; the model (`model.py`) does only what the suite asks
for. What the suite would download comes from here. It runs twice: over chat completions, and over responses.
"""

import openai
import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langchain_tests.integration_tests import ChatModelIntegrationTests, EmbeddingsIntegrationTests
from langchain_tests.integration_tests import chat_models as suite

# Older forms, which the suite tries on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

FILE = b"the bytes of a picture, a sound or a document, which the model only counts"
CHATS_OWN = ["audio_input", "audio_output"]
BOTH_HAVE = ["reasoning_output", "cache_read_input"]


class Downloads:
    """What the suite takes for `httpx`, so that the tests need no internet."""

    content = FILE

    @classmethod
    def get(cls, *_, **__):
        """Something, whatever the URL is."""
        return cls


class Standard(ChatModelIntegrationTests):
    """What holds over both of OpenAI's dialects."""

    @pytest.fixture(autouse=True)
    def served(self, request, gateway, monkeypatch):
        """The gateway's address for the models."""
        if reason := self.skipped.get(request.node.originalname):
            pytest.skip(reason)
        self.api = gateway.api
        monkeypatch.setattr(suite, "httpx", Downloads)
        monkeypatch.setenv("LANGCHAIN_TESTS_USER_AGENT", "hauski")

    skipped = {"test_stream_time": "it times a recording, which would stand in place of the gateway"}

    @property
    def chat_model_class(self):
        """The client."""
        return ChatOpenAI

    @property
    def chat_model_params(self):
        """How the client is made."""
        return {"model": "fake", "base_url": self.api, "api_key": "any", "max_retries": 0, "stream_usage": True}

    @property
    def model_override_value(self):
        """Another model."""
        return "fake-2"

    supports_json_mode = True
    supports_image_inputs = True
    supports_pdf_inputs = True
    supports_anthropic_inputs = True
    # A URL that no entry of routing.yaml grants is refused: `test_a_url_of_an_image_is_refused`.
    supports_image_urls = False

    def made(self, **rest):
        """A model of the client's."""
        return self.chat_model_class(**self.chat_model_params | rest)

    def asked(self, stream, messages, **rest):
        """An answer."""
        model = self.made(**rest)
        if not stream:
            return model.invoke(messages)
        first, *others = model.stream(messages)
        return sum(others, first)

    def invoke_with_reasoning_output(self, *, stream=False):
        """An answer with thoughts."""
        return self.asked(stream, "hello", reasoning_effort="low")

    def invoke_with_cache_read_input(self, *, stream=False):
        """An answer in a conversation, whose beginning was read from a cache."""
        return self.asked(stream, [HumanMessage("hello"), AIMessage("hi"), HumanMessage("go on")])


class TestChat(Standard):
    """Over chat completions."""

    supports_audio_inputs = True
    supports_image_tool_message = True
    supports_pdf_tool_message = True
    supported_usage_metadata_details = dict.fromkeys(["invoke", "stream"], [*BOTH_HAVE, *CHATS_OWN])

    def invoke_with_audio_input(self, *, stream=False):
        """An answer to a sound."""
        sound = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
        return self.asked(stream, [HumanMessage([sound])])

    def invoke_with_audio_output(self, *, stream=False):
        """An answer that is a sound."""
        return self.asked(stream, "hello", model_kwargs={"modalities": ["text", "audio"]})


class TestResponses(Standard):
    """Over responses, which are chat completions behind. What those have no counterpart of is refused, by name."""

    skipped = Standard.skipped | {"test_audio_inputs": "LangChain leaves sound out of what it sends to this API"}
    supports_image_tool_message = True
    supports_pdf_tool_message = True
    supported_usage_metadata_details = dict.fromkeys(["invoke", "stream"], BOTH_HAVE)

    @property
    def chat_model_params(self):
        """How the client is made."""
        return super().chat_model_params | {"use_responses_api": True}


class TestEmbeddings(EmbeddingsIntegrationTests):
    """LangChain's suite for embeddings."""

    @pytest.fixture(autouse=True)
    def served(self, gateway):
        """The gateway's address for the models."""
        self.api = gateway.api

    @property
    def embeddings_class(self):
        """The client."""
        return OpenAIEmbeddings

    @property
    def embedding_model_params(self):
        """How the client is made. Its tokens would be numbers that only OpenAI's models know."""
        return {"model": "fake", "base_url": self.api, "api_key": "any", "check_embedding_ctx_length": False}


def test_a_url_of_an_image_is_refused(gateway):
    model = ChatOpenAI(model="fake", base_url=gateway.api, api_key="any", max_retries=0)
    image = {"type": "image", "url": "https://images.example/a.png"}
    with pytest.raises(openai.BadRequestError) as failure:
        model.invoke([HumanMessage([{"type": "text", "text": "what?"}, image])])
    assert failure.value.code == "remote_url_denied"
