"""A provider whose model does what it is asked, as far as that can be faked: the least that an instructed one would do.

In: a request of OpenAI's API. Out: its answer. It repeats what it is told, calls a tool where it has to or where the
prompt speaks of it, with arguments that fit the tool's schema, keeps to a schema or to stop sequences, and counts words
as tokens. It is strict about the form of what it gets: a request that the gateway has put together wrongly is refused.
"""

import base64
import json
import re
import struct

from upstream import events, stream, whole

PARTS = {
    "text": lambda part: part["text"],
    "image_url": lambda part: media(part["image_url"]["url"]),
    "file": lambda part: media(part["file"]["file_data"]),
    "input_audio": lambda part: f"[audio/{part['input_audio']['format']} {bytes_in(part['input_audio']['data'])}]",
}


class Refused(Exception):
    """The request is wrong."""


def answer(request):
    """The answer to a request."""
    try:
        body = json.loads(request.body)
        if request.path == "/v1/embeddings":
            return whole(json.dumps(embeddings(body)))
        if request.path == "/v1/chat/completions":
            return chat(body)
        raise Refused(f"there is nothing at {request.path}")
    except (Refused, KeyError, TypeError, ValueError) as refused:
        error = {"message": f"{type(refused).__name__}: {refused}", "type": "invalid_request_error", "param": None}
        return whole(json.dumps({"error": error | {"code": "refused_by_the_fake"}}), "400 Bad Request")


def chat(body):
    """The answer to a chat request, whole or as a stream."""
    texts = [text_of(message) for message in checked(body["messages"])]
    message, finish_reason = reply(body, texts)
    usage = usage_of(body, texts, message)
    head = {"id": "chatcmpl-fake", "created": 1, "model": body["model"]}
    if not body.get("stream"):
        choice = {"index": 0, "message": message, "finish_reason": finish_reason}
        return whole(json.dumps(head | {"object": "chat.completion", "choices": [choice], "usage": usage}))
    head["object"] = "chat.completion.chunk"
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas(message)]
    choices.append({"index": 0, "delta": {}, "finish_reason": finish_reason})
    chunks = [head | {"choices": [choice]} for choice in choices]
    if (body.get("stream_options") or {}).get("include_usage"):
        chunks.append(head | {"choices": [], "usage": usage})
    data = events(*(json.dumps(chunk, ensure_ascii=False) for chunk in chunks))
    # Borders that mean nothing, and not so many of them that it takes long.
    return stream(data[at : at + 100] for at in range(0, len(data), 100))


def checked(messages):
    """The messages, if OpenAI's API would take them."""
    if not messages:
        raise Refused("there are no messages")
    open_calls = set()
    for message in messages:
        role = message["role"]
        if role == "tool":
            if message["tool_call_id"] not in open_calls:
                raise Refused("the result of a tool follows no call of it")
            open_calls.discard(message["tool_call_id"])
        elif role not in ("system", "developer", "user", "assistant"):
            raise Refused(f"there is no role {role}")
        elif open_calls:
            raise Refused("a call of a tool has no result")
        open_calls |= {call["id"] for call in message.get("tool_calls") or []}
        if message.get("content") is None and not message.get("tool_calls"):
            raise Refused(f"a message of {role} has no content")
    return messages


def text_of(message):
    """What a message says, with a word for each picture, file and sound."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return " ".join(PARTS[part["type"]](part) for part in content)


def media(url):
    """A word for what a `data:` URL holds."""
    kind, data = re.fullmatch(r"data:([\w/+.-]+);base64,(.*)", url).groups()
    return f"[{kind} {bytes_in(data)}]"


def bytes_in(data):
    """How many bytes are in base64."""
    return len(base64.b64decode(data, validate=True))


def reply(body, texts):
    """The message that answers, and why it ends."""
    prompt, message = texts[-1], {"role": "assistant", "content": None}
    if body.get("reasoning_effort") not in (None, "none"):
        message["reasoning_content"] = f"they say: {prompt}"
    tool = chosen(body, prompt)
    if tool:
        arguments = json.dumps(Fitting(prompt, tool.get("parameters", {})).root, ensure_ascii=False)
        call = {"name": tool["name"], "arguments": arguments}
        message["tool_calls"] = [{"id": f"call-{len(texts)}", "type": "function", "function": call}]
        return message, "tool_calls"
    message["content"], finish_reason = formatted(body, prompt)
    return message, finish_reason


def formatted(body, prompt):
    """The text of the answer, in the form that it has to have, and why it ends."""
    form = body.get("response_format") or {"type": "text"}
    if form["type"] == "json_schema":
        return json.dumps(Fitting(prompt, form["json_schema"]["schema"]).root, ensure_ascii=False), "stop"
    if form["type"] == "json_object":
        return json.dumps({key: "so it is" for key in re.findall(r"'(\w+)'", prompt)}), "stop"
    text = f"you said: {prompt}"
    stops = body.get("stop") or []
    for stop in [stops] if isinstance(stops, str) else stops:
        text = text.partition(stop)[0]
    words = text.split(" ")
    limit = body.get("max_completion_tokens") or body.get("max_tokens") or len(words)
    return " ".join(words[:limit]), "stop" if len(words) <= limit else "length"


def chosen(body, prompt):
    """The tool that is called: one that has to be, or whose name has a word of what the user said last."""
    if body.get("tools") == []:
        raise Refused("`tools` is empty")
    tools = {tool["function"]["name"]: tool["function"] for tool in body.get("tools", [])}
    choice = body.get("tool_choice", "auto")
    if isinstance(choice, dict):
        return tools[choice["function"]["name"]]
    if choice == "none" or (choice == "auto" and body["messages"][-1]["role"] != "user"):
        return None
    words = set(re.findall(r"[a-z]{4,}", prompt.lower()))
    meant = [tool for name, tool in tools.items() if words & set(re.findall("[a-z]+", name.lower()))]
    if choice == "required":
        meant += tools.values()
    return meant[0] if meant else None


class Fitting:
    """A value that fits a schema, made of the numbers and of the quoted text in a prompt."""

    def __init__(self, prompt, schema):
        self._prompt = prompt
        self._numbers = iter(re.findall(r"\d+", prompt))
        self._quoted = iter(re.findall(r"'([^']+)'", prompt))
        self._root = schema
        self.root = self._value(schema)

    def _value(self, schema):
        if "$ref" in schema:
            value = self._root
            for key in schema["$ref"].removeprefix("#/").split("/"):
                value = value[key]
            return self._value(value)
        if "const" in schema:
            return schema["const"]
        if options := schema.get("enum"):
            return options[0]
        if options := schema.get("anyOf"):
            return self._value(options[0])
        kind = schema.get("type", "object")
        return getattr(self, f"_{kind[0] if isinstance(kind, list) else kind}")(schema)

    def _object(self, schema):
        return {name: self._value(of) for name, of in schema.get("properties", {}).items()}

    def _array(self, schema):
        return [self._value(schema["items"])]

    def _string(self, _):
        return next(self._quoted, self._prompt)

    def _integer(self, schema):
        least, most = schema.get("minimum", 0), schema.get("maximum", 10**6)
        return min(max(int(next(self._numbers, 0)), least), most)

    _number = _integer

    def _boolean(self, _):
        return True

    def _null(self, _):
        return None


def usage_of(body, texts, message):
    """What it took. All but the last message counts as cached, sound as sound."""
    *before, last = (len(text.split()) for text in texts)
    details = {"cached_tokens": sum(before), "audio_tokens": sum(text.count("[audio/") for text in texts)}
    thoughts = len(message.get("reasoning_content", "").split())
    said = json.dumps([message["content"], message.get("tool_calls")])
    spoken = len(said.split()) + thoughts
    return {
        "prompt_tokens": sum(before) + last,
        "completion_tokens": spoken,
        "total_tokens": sum(before) + last + spoken,
        "prompt_tokens_details": details,
        "completion_tokens_details": {"reasoning_tokens": thoughts, "audio_tokens": 0},
    }


def deltas(message):
    """The message in pieces: a word, or eight characters of a tool's arguments, at a time."""
    yield {"role": "assistant", "content": None}
    for field in ("reasoning_content", "content"):
        for word in re.findall(r"\S*\s*", message.get(field) or "")[:-1]:
            yield {field: word}
    for index, call in enumerate(message.get("tool_calls", [])):
        arguments = call["function"]["arguments"]
        yield {"tool_calls": [call | {"index": index, "function": call["function"] | {"arguments": ""}}]}
        for at in range(0, len(arguments), 8):
            yield {"tool_calls": [{"index": index, "function": {"arguments": arguments[at : at + 8]}}]}


def embeddings(body):
    """Vectors that are the same for the same text."""
    inputs = [body["input"]] if isinstance(body["input"], str) else body["input"]
    data = []
    for index, text in enumerate(inputs):
        vector = vector_of(text, body.get("dimensions", 4))
        if body.get("encoding_format") == "base64":
            vector = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
        data.append({"object": "embedding", "index": index, "embedding": vector})
    words = sum(len(text.split()) for text in inputs)
    usage = {"prompt_tokens": words, "total_tokens": words}
    return {"object": "list", "data": data, "model": body["model"], "usage": usage}


def vector_of(text, dimensions):
    """A vector of quarters, which floats of any width hold exactly."""
    return [(sum(text.encode()) + at) % 9 / 4 - 1 for at in range(dimensions)]
