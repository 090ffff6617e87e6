"""What people are told to try works as it is printed: by `hauski serve`, and in README."""

import json
import re
import subprocess

import pytest
from gateway import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8080"


def run(line):
    """What a line of shell prints."""
    return subprocess.run(["bash", "-c", line], check=True, capture_output=True, timeout=30, text=True).stdout


def curl_of_readme():
    """The line of README that asks the echo adapter."""
    return re.search(rf"^curl -s {re.escape(ADDRESS)}.*$", README, re.MULTILINE).group()


@pytest.fixture
def printed(gateway):
    """The line that the gateway printed at its start."""
    return re.search("^try: (.*)$", gateway.greeting, re.MULTILINE).group(1)


def test_the_printed_curl_line(printed):
    assert json.loads(run(printed))["choices"][0]["message"]["content"] == "hello"


def test_the_printed_curl_line_streams(printed):
    events = run(printed.replace('{"model"', '{"stream":true,"model"'))
    assert '"content":"hello"' in events
    assert events.endswith("data: [DONE]\n\n")


def test_readme_shows_the_line_that_is_printed(gateway, printed):
    assert curl_of_readme().replace(ADDRESS, gateway.url) == printed


def test_readmes_python(gateway, capsys):
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL).group(1)
    exec(code.replace(ADDRESS, gateway.url), {})  # noqa: S102 - README is ours
    assert capsys.readouterr().out == "hello\n"
