"""Speech from the upload on: OpenAI's routes, /predict, behind the wall, and what they refuse."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from amaas.api import package

from functions.generate import app as generate
from functions.inference import app as inference
from shared.storage.memory import MemoryStore
from tests.functions.test_flow import push
from tests.speech import folders
from tests.speech.test_transcribe import GREEDY, hours, transcriber
from tests.speech.tones import RATE, tones
from tests.support import FORM, Answer, call, form, linear


def wav(samples: np.ndarray) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, "FLOAT", format="WAV")
    return file.getvalue()


def transcribe(sound: bytes | None, route: str = "transcriptions", scopes: str = "infer", **fields: str) -> Answer:
    body = form(sound, **{"model": "whisper", **fields})
    return call(generate.handler, "POST", f"/v1/audio/{route}", body, scopes=scopes, headers=FORM)


@pytest.fixture
def speech(store: MemoryStore, tmp_path: Path) -> None:
    with package.opened(folders.write(tmp_path / "whisper")) as files:
        state = push(store, "whisper", {name: path.read_bytes() for name, path in files.items()})
    assert state["state"] == "registered", state


def test_openais_forms(speech: None) -> None:
    sound = tones(1.5)
    expected = transcriber().transcribe(sound, GREEDY, hours)
    told = transcribe(wav(sound), response_format="verbose_json")
    assert told.status == 200, told.body
    assert told.json["duration"] == 1.5 and told.json["language"] == expected.language
    assert told.json["task"] == "transcribe" and told.headers["x-amaas-version"] == "1"
    first = told.json["segments"][0]
    assert first["id"] == 0 and {"start", "end", "text", "tokens", "avg_logprob", "no_speech_prob"} <= first.keys()
    text = told.json["text"]
    assert transcribe(wav(sound)).json == {"text": text, "usage": {"type": "duration", "seconds": 2}}
    plain = transcribe(wav(sound), response_format="text")
    assert plain.body.decode() == f"{text}\n" and plain.headers["Content-Type"].startswith("text/plain")
    assert transcribe(wav(sound), response_format="srt").body.startswith(b"1\n00:00:00,")
    assert transcribe(wav(sound), response_format="vtt").body.startswith(b"WEBVTT\n\n00:00:00.")
    assert transcribe(wav(sound), "translations", language="de", prompt="Names", temperature="0.5").status == 200


def test_weights_in_files_of_their_own_names_are_served(store: MemoryStore, tmp_path: Path) -> None:
    names = {"encoder_model": "ears.bin", "decoder_model": "words", "decoder_with_past_model": "more.words"}
    told = {}
    for model, own in (("inside", {}), ("beside", names)):
        folder = folders.own_names(folders.write(tmp_path / model, "two"), own)
        with package.opened(folder) as files:
            assert set(own.values()) < set(files)
            state = push(store, model, {name: path.read_bytes() for name, path in files.items()})
        assert state["state"] == "registered", state
        told[model] = transcribe(wav(tones(1.5)), model=model, response_format="verbose_json")
        assert told[model].status == 200, told[model].body
    assert told["inside"].json == told["beside"].json and told["beside"].json["text"]


def test_there_is_no_method_to_explain_it(speech: None) -> None:
    refused = call(generate.forwarded, "POST", "/models/whisper/explain", wav(tones(1.5)))
    assert refused.status == 501 and "no method to explain 'speech-to-text'" in refused.json["error"]


def test_predict_takes_sounds(speech: None) -> None:
    sound = wav(tones(1))
    told = call(generate.forwarded, "POST", "/models/whisper/predict", sound, headers={"content-type": "audio/wav"})
    assert told.status == 200, told.body
    assert told.json["model"] == "whisper" and told.json["segments"][0].keys() == {"start", "end", "text"}
    encoded = base64.b64encode(sound).decode()
    body = {"inputs": [encoded, encoded], "parameters": {"language": "de"}}
    headers = {"content-type": "application/json"}
    many = call(generate.forwarded, "POST", "/models/whisper/predict", body, headers=headers)
    assert many.status == 200, many.body
    assert [one["language"] for one in many.json["results"]] == ["de", "de"]
    refused = call(inference.handler, "POST", "/v2/models/whisper/infer", {"inputs": []})
    assert refused.status == 400


@pytest.mark.parametrize(
    ("sound", "fields", "status", "words"),
    [
        (b"no sound", {}, 400, "no sound"),
        (None, {}, 400, "0 fields"),
        (wav(tones(1)), {"language": "xx"}, 400, "de, en"),
        (wav(tones(1)), {"response_format": "xml"}, 400, "xml"),
        (wav(tones(1)), {"timestamp_granularities[]": "word"}, 400, "times of words"),
        (wav(tones(1)), {"model": "nobody"}, 404, "nobody"),
    ],
)
def test_what_cannot_be_is_refused(
    speech: None, sound: bytes | None, fields: dict[str, str], status: int, words: str
) -> None:
    answer = transcribe(sound, **fields)
    assert answer.status == status and words in answer.json["error"]["message"]


def test_other_bodies_scopes_and_models_are_refused(speech: None, store: MemoryStore) -> None:
    assert call(generate.handler, "POST", "/v1/audio/transcriptions", {"model": "whisper"}).status == 415
    cut = form(wav(tones(1)), model="whisper")[:-20]
    assert call(generate.handler, "POST", "/v1/audio/transcriptions", cut, headers=FORM).status == 400
    assert transcribe(wav(tones(1)), scopes="infer:others-*").status == 403
    push(store, "plain", {"model.onnx": linear([[1.0], [1.0]])})
    assert transcribe(wav(tones(1)), model="plain").status == 400
    body: dict[str, Any] = {"model": "whisper", "messages": [{"role": "user", "content": "Hi"}]}
    chat = call(generate.handler, "POST", "/v1/chat/completions", body)
    assert chat.status == 400 and "/v1/audio/transcriptions" in chat.json["error"]["message"]
