"""`amaas chat`: one message, and conversations on a terminal."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from functions.generate import app as generate
from shared.errors import Unavailable
from shared.registry.log import Log
from tests.client.conftest import Run
from tests.client.gateway import Service, Trouble
from tests.client.test_cli import answered
from tests.client.texts import Held, streaming, writing

FEW = ("--max-tokens", "12", "--seed", "3")


@pytest.fixture(autouse=True)
def writer(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    streaming(monkeypatch)
    writing(log)


@pytest.fixture
def environment(service: Service) -> dict[str, str]:
    return os.environ | {
        "AMAAS_URL": service.api_url, "AMAAS_TOKEN": service.tokens["ann"], "TERM": "dumb", "PYTHONUNBUFFERED": "",
    }  # fmt: skip


def test_a_message_is_answered(run: Run, service: Service) -> None:
    whole = answered(run, "chat", "writer@1", "Hello", *FEW)
    assert service.calls[-1].json()["model"] == "writer@1"
    text = whole["choices"][0]["message"]["content"]
    for arguments, standard_input in (
        (["Hello"], None),
        (["-"], "Hello\n"),
        ([], "Hello\n"),
        (["Hello", "--no-stream"], None),
    ):
        result = run("chat", "writer", *arguments, *FEW, input=standard_input)
        assert (result.exit_code, result.stdout) == (0, text + "\n")
        assert result.stderr.startswith("amaas: the answer is cut")
    sent = service.calls[-2].json()
    assert sent["stream"] and sent["messages"] == [{"role": "user", "content": "Hello"}]


def test_options_are_sent(run: Run, service: Service, tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"], "additionalProperties": False}
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    options = [
        "--system",
        "Be brief.",
        "--temperature",
        "0",
        "--top-p",
        "0.5",
        "--stop",
        "%",
        "--stop",
        "&",
        "--key",
        "k",
    ]
    result = run("chat", "writer", "Hello", *options, "--max-tokens", "40", "--schema", "schema.json")
    assert json.loads(result.stdout)["a"] in (1, 2) and result.stderr == ""
    sent = service.calls[-1].json()
    assert sent.pop("response_format")["json_schema"]["schema"] == schema
    assert sent == {
        "model": "writer", "stream": True, "max_tokens": 40, "temperature": 0, "top_p": 0.5, "stop": ["%", "&"],
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
    }  # fmt: skip
    assert service.calls[-1].headers["x-request-key"] == "k"


def test_errors(run: Run, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run("chat", "nobody", "Hello")
    assert (result.exit_code, result.stdout) == (1, "") and result.stderr.startswith("amaas: there is no model 'nobo")
    whole = generate.chats.stream

    def broken(*arguments: Any, **options: Any) -> Iterator[bytes]:
        events = whole(*arguments, **options)
        yield from (next(events), next(events))
        raise Unavailable("the model's process has died")

    monkeypatch.setattr(generate.chats, "stream", broken)
    result = run("chat", "writer", "Hello", *FEW)
    assert result.exit_code == 1 and len(result.stdout) == 2, "what there is, and the line's end"
    assert result.stderr == "amaas: the answer broke off: the model's process has died\n"
    (schema := Path("schema.json")).write_text("{")
    assert run("chat", "writer", "Hello", "--schema", str(schema)).exit_code == 2


def test_text_has_no_control_characters(run: Run, service: Service) -> None:
    events = [{"choices": [{"delta": {"content": text}}]} for text in ("\x1b[2J", "fine\n", "\u202eenif")]
    body = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
    service.trouble.append(Trouble("POST", "/chat/", 200, body.encode(), {"Content-Type": "text/event-stream"}))
    assert run("chat", "writer", "Hello").stdout == "[2Jfine\nenif\n"


def test_the_first_words_are_printed_before_the_last_are_made(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch)
    command = [sys.executable, "-m", "amaas", "chat", "writer", "Hello", *FEW]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        first = process.stdout.read(2)
        assert len(first) == 2 and held.made == 3, "two pieces and the role: the model waits"
        held.go.set()
        rest = process.stdout.read()
        assert process.wait(60) == 0 and len(rest) > 8 and rest.endswith(b"\n")
    assert held.made > 11


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, environment: dict[str, str], *arguments: str) -> None:
        self.screen = b""
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored, where the tests themselves run in the background
            os.execve(sys.executable, [sys.executable, "-m", "amaas", *arguments], environment)

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def until(self, shown: Callable[[str], bool]) -> str:
        """What is on the screen when it shows this."""
        while not shown(self.screen.decode(errors="replace")):
            try:
                self.screen += os.read(self._fd, 1000)
            except OSError:
                break
        return self.screen.decode(errors="replace")

    def status(self) -> int:
        """Of the command, at its end."""
        self.until(lambda shown: False)
        os.close(self._fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def prompts(count: int) -> Callable[[str], bool]:
    return lambda shown: shown.count("> ") >= count and shown.endswith("> ")


def test_a_conversation(service: Service, environment: dict[str, str]) -> None:
    # an answer that has a prompt in it would be taken for one
    terminal = Terminal(environment, "chat", "writer", "--system", "Be brief.", *FEW, "--stop", ">")
    assert "writer: /reset begins anew" in terminal.until(prompts(1))
    for number, line in enumerate(("Hello", "And then?", "/reset", "Again"), 2):
        terminal.type(line + "\n")
        terminal.until(prompts(number))
    terminal.type("/exit\n")
    assert terminal.status() == 0
    first, second, third = (call.json()["messages"] for call in service.received("POST", "/chat/"))
    system = {"role": "system", "content": "Be brief."}
    assert first == [system, {"role": "user", "content": "Hello"}]
    assert second[:2] == first and second[3] == {"role": "user", "content": "And then?"}
    assert second[2]["role"] == "assistant" and second[2]["content"] in terminal.screen.decode()
    assert third == [system, {"role": "user", "content": "Again"}]


def test_interrupting_ends_the_answer_and_not_the_conversation(
    service: Service, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch)
    terminal = Terminal(environment, "chat", "writer", "--max-tokens", "100", "--seed", "3")
    terminal.until(prompts(1))
    terminal.type("Hello\n")
    terminal.until(lambda shown: len(shown.partition("> Hello\r\n")[2]) == 2)
    terminal.type("\x03")
    assert "^C" in terminal.until(prompts(2))
    held.go.set()
    assert held.over.wait(60) and held.made < 90, "the service has seen it"
    service.trouble.append(Trouble("POST", "/chat/", 400, b'{"error": {"message": "not that"}}'))
    terminal.type("Bad\n")
    assert "amaas: not that" in terminal.until(prompts(3))
    terminal.type("More\n")
    terminal.until(prompts(4))
    terminal.type("\x04")
    assert terminal.status() == 0
    kept, answer, more = service.received("POST", "/chat/")[-1].json()["messages"]
    assert (kept["content"], more["content"]) == ("Hello", "More")
    assert len(answer["content"]) == 2, "the answer as far as it came"


def test_predict_shows_the_text(run: Run) -> None:
    answer = answered(run, "predict", "writer", "--text", "Hello")
    assert answer["finish_reason"] in ("stop", "length") and answer["usage"]["completion_tokens"]
    heading, _, text = run("predict", "writer", "--text", "Hello").stdout.partition("\n")
    assert heading == "writer version 1" and text.strip()


def test_explain_shows_the_answer_and_its_words(run: Run, service: Service, tmp_path: Path) -> None:
    (tmp_path / "question.txt").write_text("Is it so?")
    told = answered(run, "explain", "writer", "question.txt", "--target", "Yes")
    assert told["answer"] == "Yes" and [part["text"] for part in told["attributions"]] == ["Is", "it", "so", "?"]
    heading, *rows = run("explain", "writer@1", "question.txt", "--target", "Yes").stdout.splitlines()
    assert heading.split() == ["writer", "Yes:", f"{told['score']:g}", "(leave-one-out)"]
    strongest = max(told["attributions"], key=lambda part: abs(part["attribution"]))
    assert rows[1].split() == [strongest["text"], f"{strongest['attribution']:+.4f}"], rows
    assert answered(run, "explain", "writer", "--text", "Is it so?", "--target", "Yes") == told
    assert answered(run, "explain", "writer", "-", "--target", "Yes", input="Is it so?") == told
    document = ("--data", '{"input": "Is it so?"}')
    assert answered(run, "explain", "writer", *document, "--target", "Yes") == told
    refused = run("explain", "writer", "question.txt", "--target", "y" * 65)
    assert refused.exit_code != 0 and "`target` has 65 tokens" in refused.stderr


@pytest.mark.parametrize("verb", ["predict", "explain"])
@pytest.mark.parametrize("text", ["I love this film", "so long " * 1000])
def test_a_text_that_is_no_file_is_to_be_sent_by_its_option(run: Run, service: Service, verb: str, text: str) -> None:
    refused = run(verb, "m", text)
    assert refused.exit_code == 2 and text[:10] in refused.stderr and len(refused.stderr) < 400
    assert "does not exist: give a file, or send a text by --text, and other input by --data" in refused.stderr
    for arguments in ((verb, "m"), (verb, "m", "--text", text, "--data", "{}")):
        refused = run(*arguments)
        assert refused.exit_code == 2 and "give one of INPUT, --data and --text" in refused.stderr
    assert not service.calls
