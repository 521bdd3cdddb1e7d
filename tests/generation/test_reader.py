"""Behind the wall: the same logits, caches that stay there, a process that dies, weights in files of their own."""

from __future__ import annotations

import mmap
import os
import signal
import time
from pathlib import Path

import numpy as np
import onnx as format_
import pytest

from shared.errors import BadInput, TooLarge
from shared.runtime import confined, language, reading
from shared.runtime.confined import Confined
from shared.runtime.runners import Crashed
from shared.runtime.signature import Unloadable
from shared.runtime.zygotes import Cutting, Decoding
from shared.serving.generation.loop import Conversation, End, Forgotten, Piece, Request, generate, score
from shared.serving.generation.reader import SessionReader, Texts
from shared.serving.generation.sampling import Sampling
from tests.decoders.test_decoder import MODELS, reference
from tests.generation.test_texts import bytes_tokenizer

MiB = 1 << 20
DECODING = Decoding(heads=2, width=16, limit=100)
PLAIN = Cutting(plain=True)


@pytest.fixture(scope="module", params=["llama-genai", "llama-optimum"])
def parts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graph whose weights are in two files beside it."""
    folder = tmp_path_factory.mktemp(request.param)
    model = format_.load(MODELS / f"{request.param}.onnx")
    for number, weight in enumerate(model.graph.initializer):
        if len(weight.raw_data) > 64:
            format_.external_data_helper.set_external_data(weight, f"weights-{number % 2}.bin")
    format_.save(model, folder / "model.onnx")
    assert {path.name for path in folder.iterdir()} == {"model.onnx", "weights-0.bin", "weights-1.bin"}
    return folder


def data(folder: Path) -> dict[str, str]:
    return {path.name: str(path) for path in folder.glob("*.bin")}


def behind_the_wall(folder: Path, decoding: Decoding = DECODING) -> Confined:
    return confined.load_decoder(
        str(folder / "model.onnx"), data(folder), decoding, threads=1, memory=512 * MiB, filtered=True
    )


def here(folder: Path, decoding: Decoding = DECODING) -> reading.Reading:
    files = {}
    for name, path in data(folder).items():
        with open(path, "rb") as file:
            files[name] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return reading.load((folder / "model.onnx").read_bytes(), files, decoding)


def kill(session: Confined) -> None:
    """And wait until it is known."""
    assert session.pid is not None
    os.kill(session.pid, signal.SIGKILL)
    while session._held[0].is_idle:
        time.sleep(0.001)


@pytest.mark.parametrize("load", [here, behind_the_wall])
def test_logits_are_the_decoders_whoever_runs_it(parts: Path, load: type) -> None:
    ids, logits = reference("llama")
    reader = SessionReader(load(parts))
    assert (reader.vocabulary, reader.limit, reader.length) == (96, 100, 0)
    assert np.abs(reader.extend(ids[:40].tolist()) - logits[39]).max() < 2e-4
    assert np.abs(reader.extend(ids[40:41].tolist()) - logits[40]).max() < 2e-4
    reader.rewind(20)
    assert np.abs(reader.extend(ids[20:60].tolist()) - logits[59]).max() < 2e-4
    with pytest.raises(TooLarge, match="101 tokens are more than the 100"):
        reader.extend([1] * 41)
    with pytest.raises(BadInput, match="vocabulary of 96"):
        reader.extend([96])
    reader.rewind(10)
    assert np.abs(reader.extend(ids[10:60].tolist()) - logits[59]).max() < 2e-4, "an error has left what was kept"


def test_a_process_that_died_between_two_tokens_is_made_up_for(parts: Path) -> None:
    session = behind_the_wall(parts)
    conversation = Conversation(SessionReader(session))
    request = Request(prompt=[5, 6, 7], max_tokens=8, sampling=Sampling(temperature=0))

    def said(kill_after: int | None) -> list[int]:
        chosen = []
        for number, piece in enumerate(generate(conversation, request, lambda *_: ("", ""), lambda: 1e9, owner="ann")):
            if isinstance(piece, Piece):
                chosen.append(piece.choice.token)
            if number == kill_after:
                kill(session)
        return chosen

    expected = said(None)
    assert len(expected) == 8
    assert said(3) == expected
    assert said(None) == expected


@pytest.mark.parametrize("load", [here, behind_the_wall])
def test_scores_are_the_decoders_whoever_runs_it(parts: Path, load: type) -> None:
    ids, logits = reference("llama")
    exact = logits.astype(np.float64)
    exact -= np.log(np.exp(exact).sum(axis=1, keepdims=True))
    expected = [exact[place - 1, ids[place]] for place in range(20, 40)]
    reader = SessionReader(load(parts))
    reader.extend(ids[:20].tolist())
    assert np.abs(reader.score(ids[20:40].tolist()) - expected[1:]).max() < 2e-4 and reader.length == 40
    conversation = Conversation(reader)
    prompt, answer = ids[:20].tolist(), ids[20:40].tolist()
    total, read = score(conversation, prompt, answer, lambda: 1e9, owner="ann")
    assert total == pytest.approx(sum(expected), abs=1e-3) and read == 40
    again = score(conversation, prompt, answer, lambda: 1e9, owner="ann")
    assert again == (pytest.approx(total, abs=1e-4), 21), "of the prompt, the last token only is read again"
    assert score(conversation, prompt, answer[:1], lambda: 1e9)[0] == pytest.approx(expected[0], abs=1e-4)
    with pytest.raises(TooLarge, match="95 tokens and the answer 6, and the model can have 100"):
        score(conversation, [1] * 95, [1] * 6, lambda: 1e9)


def test_a_process_that_dies_before_an_answer_is_scored_is_made_up_for(parts: Path) -> None:
    session = behind_the_wall(parts)
    conversation = Conversation(SessionReader(session))
    conversation.begin([5, 6, 7], "ann")
    conversation.read([5, 6, 7])
    expected = conversation.score([8, 9, 10])
    conversation.begin([5, 6, 7, 8], "ann")
    kill(session)
    assert np.abs(conversation.score([8, 9, 10]) - expected).max() < 1e-4


def test_what_a_runner_has_forgotten_is_no_answer(parts: Path) -> None:
    session = behind_the_wall(parts)
    reader = SessionReader(session)
    reader.extend([1, 2, 3])
    kill(session)
    with pytest.raises(Forgotten):
        reader.extend([4])


def test_a_death_in_the_middle_is_an_error_of_that_call_alone(parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = behind_the_wall(parts)
    conversation = Conversation(SessionReader(session))
    request = Request(prompt=[5, 6, 7], max_tokens=3, sampling=Sampling(temperature=0))
    real = session.run

    def dies(outputs: list[str] | None, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        raise Crashed("the model ended its process", "SIGSEGV")

    pieces = generate(conversation, request, lambda *_: ("", ""), lambda: 1e9, owner="ann")
    next(pieces)
    monkeypatch.setattr(session, "run", dies)
    with pytest.raises(Crashed):
        next(pieces)
    monkeypatch.setattr(session, "run", real)
    *_, end = generate(conversation, request, lambda *_: ("", ""), lambda: 1e9, owner="ann")
    assert isinstance(end, End) and end.cached_tokens == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"location": "elsewhere.bin"}, "'elsewhere.bin', which is not there"),
        ({"location": "/etc/passwd"}, "'/etc/passwd', which is not there"),
        ({"offset": "9999999"}, "beyond the end of"),
        ({"offset": "-4"}, "beyond the end of|no plain|invalid"),
        ({"length": "99999999"}, "beyond the end of"),
        ({"length": "4"}, "ONNX Runtime"),
    ],
)
@pytest.mark.parametrize("load", [here, behind_the_wall])
def test_weights_that_are_not_where_the_graph_says(
    parts: Path, tmp_path: Path, load: type, change: dict[str, str], reason: str
) -> None:
    model = format_.load(parts / "model.onnx", load_external_data=False)
    weight = next(one for one in model.graph.initializer if one.data_location == format_.TensorProto.EXTERNAL)
    entries = {entry.key: entry for entry in weight.external_data}
    for key, value in change.items():
        entries[key].value = value
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    for name, path in data(parts).items():
        (tmp_path / name).write_bytes(Path(path).read_bytes())
    with pytest.raises(Unloadable, match=reason):
        load(tmp_path)


def test_what_is_no_decoder_says_so(tmp_path: Path) -> None:
    from tests.support import linear

    (tmp_path / "model.onnx").write_bytes(linear([[1.0]]))
    with pytest.raises(Unloadable, match="takes 'x', which no decoder that is known has"):
        behind_the_wall(tmp_path)
    (tmp_path / "model.onnx").write_bytes((MODELS / "llama-genai.onnx").read_bytes())
    with pytest.raises(Unloadable, match=r"leaves the width of .* open, and no config.json"):
        behind_the_wall(tmp_path, Decoding(limit=100))


@pytest.mark.parametrize("wall", [False, True])
def test_texts_and_tokens(wall: bool) -> None:
    raw = bytes_tokenizer().to_str().encode()
    load = (lambda: confined.load_tokenizer(raw, PLAIN, memory=256 * MiB, filtered=True)) if wall else None
    texts = Texts(load() if load else language.load(raw))
    ids = texts.encode("naïve 😀")
    assert texts.decode(ids, 2) == ("na", "naïve 😀")
    assert len(texts.encode("a" * 50_000)) == 50_000, "of a prompt nothing is cut"
    assert texts.encode("") == [] and texts.decode([]) == ("", "")
    assert texts.decode([10**6]) == ("", ""), "what is no token has no text"
