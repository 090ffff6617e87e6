"""What providers say in chat completions, to be scripted by tests."""

import json
import random


def completion(message, finish_reason="stop", **rest):
    """A provider's whole answer."""
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish_reason}
    answer = {"id": "c-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    return json.dumps(answer | rest)


def chunk(delta, finish_reason=None, **rest):
    """A provider's chunk."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    answer = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return json.dumps(answer | rest, ensure_ascii=False)


def usage_chunk(usage):
    """The chunk without choices that says what a stream took."""
    answer = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [], "usage": usage}
    return json.dumps(answer)


def cut(data, seed):
    """The same bytes in pieces whose borders mean nothing."""
    draw = random.Random(seed)
    while data:
        size = draw.randint(1, 9)
        yield data[:size]
        data = data[size:]
