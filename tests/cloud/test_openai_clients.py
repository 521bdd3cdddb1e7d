"""OpenAI's client, LiteLLM and LangChain, unmodified, in an environment of their own, against the running gateway."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import soundfile
from msgspec.structs import replace

from tests.cloud.conftest import ROOT, Cloud
from tests.decoders import folders
from tests.speech import folders as speech
from tests.speech.test_transcribe import PLAN, Ask, hours, transcriber
from tests.speech.tones import RATE, tones

pytestmark = pytest.mark.cloud

PYTHON = ROOT / ".local" / "envs" / "openai" / "bin" / "python"
SECONDS = 1.5
COMMAND = ROOT / ".local" / "envs" / "client" / "bin" / "amaas"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "tones.wav"
    soundfile.write(path, tones(SECONDS), RATE, "FLOAT")
    return path


def run(cloud: Cloud, command: list[str]) -> str:
    """What a command prints that finds the service by the environment."""
    environment = {"AMAAS_URL": cloud.access["api_url"], "AMAAS_TOKEN": cloud.access["token"], "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def said(cloud: Cloud, sound: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the clients heard of a tiny model and a tiny Whisper, which were pushed by their folders as they are."""
    room = tmp_path_factory.mktemp("pushed")
    pushed = {
        "tiny-chat": folders.write(room / "tiny", "llama-optimum", context=2000),
        "tiny-speech": speech.write(room / "whisper"),
    }
    access = {"url": cloud.access["api_url"], "token": cloud.access["token"], "model": "tiny-chat"}
    access |= {"speech": "tiny-speech", "sound": str(sound)}
    for model, folder in pushed.items():
        run(cloud, [str(COMMAND), "push", str(folder), "--model", model])
    script = [str(PYTHON), str(ROOT / "tests" / "cloud" / "openai_calls.py")]
    asked = json.dumps(access)
    done = subprocess.run(script, input=asked, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def is_switch(value: dict[str, Any]) -> bool:
    return set(value) == {"on", "n"} and isinstance(value["on"], bool) and value["n"] in (1, 2)


def test_a_chat_and_its_usage(said: dict[str, Any]) -> None:
    assert "tiny-chat" in said["models"]
    assert said["whole"]["text"] and said["whole"]["usage"]["completion_tokens"] <= 12


def test_the_first_words_come_before_the_last_are_made(said: dict[str, Any]) -> None:
    streamed = said["streamed"]
    assert streamed["tokens"] >= 300 and streamed["parts"] > 200
    assert streamed["first"] < 0.5 * streamed["last"]


def test_ten_streams_at_the_same_time_are_each_their_own(said: dict[str, Any]) -> None:
    first, second, third, *others = said["at once"]
    assert first == third != second and len(set(others)) > 1 and len(others) == 7


def test_json_by_schema_and_calls_of_tools(said: dict[str, Any]) -> None:
    assert is_switch(said["schema"])
    assert said["tool"]["name"] == "turn" and is_switch(said["tool"]["arguments"])


def test_logprobs(said: dict[str, Any]) -> None:
    assert all(token and logprob < 0 and likely == 2 for token, logprob, likely in said["logprobs"])


def test_a_completion_whole_and_streamed(said: dict[str, Any]) -> None:
    whole, streamed = said["completion"]
    assert whole and whole == streamed


def test_a_stranger_is_told_by_the_gateway_what_to_send(said: dict[str, Any]) -> None:
    for name, status, body in said["stranger"]:
        assert (name, status) == ("AuthenticationError", 401) and "amaas token create" in body
    assert len(said["stranger"]) == 2


def test_refusals_are_the_client_s_own_errors(said: dict[str, Any]) -> None:
    name, status, message = said["refusals"]["nobody"]
    assert (name, status) == ("NotFoundError", 404) and "nobody" in message
    assert said["refusals"]["two"][:2] == ["BadRequestError", 400]
    assert said["refusals"]["long"][1] == 413 and "2,000" in said["refusals"]["long"][2]


def test_a_client_that_leaves_holds_up_nobody(said: dict[str, Any]) -> None:
    assert said["leaves"] == said["whole"]["text"]


def test_sounds_are_transcribed_by_the_client(said: dict[str, Any]) -> None:
    heard = said["transcribed"]
    plan = replace(PLAN, context=64)  # as the folder has it
    expected = transcriber(plan).transcribe(tones(SECONDS), Ask(), hours)  # with all tries, as OpenAI has 0
    assert heard["text"] and heard["text"] == heard["bytes"] == heard["patient"] == heard["verbose"]["text"]
    assert heard["text"] == expected.text
    assert heard["verbose"]["duration"] == SECONDS and 0 < heard["verbose"]["ends"][0] <= SECONDS + 1
    assert heard["srt"].startswith("1\n00:00:00,") and isinstance(heard["translated"], str)
    assert "noise.wav" in heard["refused"] or "WAV" in heard["refused"]


def test_the_example_of_transcribing_hears_the_same(cloud: Cloud, said: dict[str, Any], sound: Path) -> None:
    script = [str(COMMAND.with_name("python")), str(ROOT / "examples" / "transcribe.py"), "tiny-speech", str(sound)]
    assert run(cloud, script).rstrip("\n") == said["transcribed"]["text"]


def test_langchain(said: dict[str, Any]) -> None:
    chained = said["langchain"]
    assert chained["text"] == chained["stream"] == said["whole"]["text"]
    [(name, arguments)] = chained["tool"]
    assert name == "turn" and is_switch(arguments) and is_switch(chained["structured"])


def test_litellm(said: dict[str, Any]) -> None:
    assert said["litellm"] == {"text": said["whole"]["text"], "stream": said["whole"]["text"]}
