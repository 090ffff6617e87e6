"""What schemathesis has to know of this gateway: the document can't say which models it has, or what they may fetch."""

import schemathesis

MODEL = "remote"
REQUESTS = [
    "ChatCompletionRequest",
    "CompletionRequest",
    "EmbeddingRequest",
    "MessagesCountRequest",
    "MessagesRequest",
    "ResponseRequest",
]
# What a provider would have to fetch needs a grant, and there is none.
FETCHED = [("UrlImage", "url"), ("ImagePart", "image_url")]


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Names the model that is served, so that requests get beyond its name, and leaves images to `data:` URLs."""
    schemas = raw_schema["components"]["schemas"]
    for name in REQUESTS:
        schemas[name]["properties"]["model"] = {"type": "string", "enum": [MODEL]}
    for name, field in FETCHED:
        schemas[name]["properties"][field] = {"type": "string", "enum": ["data:image/png;base64,AAAA"]}


@schemathesis.hook
def map_body(context, body):
    """Writes whole numbers as such: to JSON Schema `7.0` is one, and as `max_tokens` of a message it is refused."""
    if isinstance(body, dict) and isinstance(tokens := body.get("max_tokens"), float) and tokens.is_integer():
        return body | {"max_tokens": int(tokens)}
    return body
