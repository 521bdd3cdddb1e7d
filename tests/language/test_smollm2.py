"""A real model: our decoder's tokens are those of transformers, in FP32 each of them."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from examples.models import smollm2
from shared.runtime import onnx, reading
from shared.runtime.caches import Geometry
from shared.runtime.decoder import Decoder
from shared.runtime.zygotes import Decoding
from shared.serving.generation.loop import Conversation, Piece, Request, generate
from shared.serving.generation.packed import Asked, Pack
from shared.serving.generation.reader import SessionReader
from shared.serving.generation.sampling import Sampling

ROOT = Path(__file__).parents[2]
PROMPTS = ("What is the capital of France?", "Write a haiku about the sea.", "Count from one to ten.")
STEPS = 29
GEOMETRY = Geometry(heads=3, width=64)


class Answer(NamedTuple):
    """tokens: of the prompt and the answer. logits: after each of them, [tokens, vocabulary]. prompt: its length."""

    tokens: list[int]
    logits: np.ndarray
    prompt: int


@pytest.fixture(scope="session")
def folders() -> dict[str, Path]:
    return smollm2.make(ROOT / ".local" / "language")


@pytest.fixture(scope="session")
def answers(folders: dict[str, Path]) -> list[Answer]:
    """What transformers makes of the prompts, greedily."""
    tokenizer = AutoTokenizer.from_pretrained(folders["hf"])
    model: Any = AutoModelForCausalLM.from_pretrained(folders["hf"], dtype=torch.float32).eval()
    answers = []
    for prompt in PROMPTS:
        message = [{"role": "user", "content": prompt}]
        asked = tokenizer.apply_chat_template(
            message, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        with torch.no_grad():
            tokens = model.generate(**asked, max_new_tokens=STEPS, min_new_tokens=STEPS, do_sample=False)
            logits = model(tokens).logits[0].numpy()
        answers.append(Answer(tokens[0].tolist(), logits, asked["input_ids"].shape[1]))
    return answers


def agreement(folder: Path, answers: list[Answer]) -> tuple[int, float]:
    """How many of the likeliest tokens are the same, and by how much logits differ at most, on the reference's text."""
    decoder = Decoder(onnx.open_session(str(folder / "model.onnx")), GEOMETRY)
    assert decoder.in_place and decoder.continues
    same, worst = 0, 0.0
    for answer in answers:
        decoder.rewind(0)
        logits = decoder.extend(answer.tokens[: answer.prompt])
        for place in range(answer.prompt, len(answer.tokens)):
            expected = answer.logits[place - 1]
            same += int(logits.argmax() == expected.argmax())
            worst = max(worst, float(np.abs(logits - expected).max()))
            logits = decoder.extend(answer.tokens[place : place + 1])
    return same, worst


def test_fp32_says_what_transformers_says(folders: dict[str, Path], answers: list[Answer]) -> None:
    same, worst = agreement(folders["fp32"], answers)
    assert same == STEPS * len(PROMPTS)
    assert worst < 5e-4


def test_fp32_says_the_same_where_several_texts_are_read_at_once(folders: dict[str, Path]) -> None:
    """Token for token what it says alone, which is held against transformers above; greedily, and with a seed."""
    folder = folders["fp32"]
    with (folder / "model.onnx.data").open("rb") as file:
        data = {"model.onnx.data": mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)}
    decoding = Decoding(tuple(data), GEOMETRY.heads, GEOMETRY.width, 8192)
    reader = SessionReader(reading.load((folder / "model.onnx").read_bytes(), data, decoding))
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def numbers(tokens: list[int], known: int) -> tuple[str, str]:
        """In the place of texts: other tokens may have the same one."""
        return "".join(f"{token} " for token in tokens[:known]), "".join(f"{token} " for token in tokens)

    prompts = [tokenizer(prompt).input_ids for prompt in PROMPTS]
    assert len({len(prompt) for prompt in prompts}) > 1
    settings = [*((one, Sampling(temperature=0)) for one in prompts), (prompts[1], Sampling(temperature=1.0, seed=5))]
    requests = [Request(prompt=prompt, max_tokens=STEPS, sampling=sampling) for prompt, sampling in settings]
    pack = Pack(Conversation(reader), reader, reader.packing(), numbers, lambda: 1e9)
    written = pack.write([Asked(one, str(number)) for number, one in enumerate(requests)])
    assert not pack.failed
    for request, one in zip(requests, written, strict=True):
        *pieces, end = generate(Conversation(reader), request, numbers, lambda: 1e9)
        tokens = [piece.choice.token for piece in pieces if isinstance(piece, Piece)]
        assert one is not None and one.end == end and len(tokens) == STEPS
        assert one.text == "".join(f"{token} " for token in tokens)


def test_answers_are_scored_as_transformers_scores_them(folders: dict[str, Path], answers: list[Answer]) -> None:
    decoder = Decoder(onnx.open_session(str(folders["fp32"] / "model.onnx")), GEOMETRY)
    for answer in answers:
        decoder.rewind(0)
        decoder.extend(answer.tokens[: answer.prompt])
        scores = decoder.score(answer.tokens[answer.prompt :])
        exact = torch.log_softmax(torch.from_numpy(answer.logits).double(), 1).numpy()
        places = range(answer.prompt + 1, len(answer.tokens))
        expected = [exact[place - 1, answer.tokens[place]] for place in places]
        assert np.abs(scores - expected).max() < 5e-4


def test_int8_says_nearly_the_same(folders: dict[str, Path], answers: list[Answer]) -> None:
    same, _ = agreement(folders["int8"], answers)
    assert same >= 0.85 * STEPS * len(PROMPTS)


def test_our_eight_bits_say_what_fp32_says(folders: dict[str, Path], answers: list[Answer]) -> None:
    form = smollm2.form(folders)
    same, worst = agreement(form, answers)
    assert same >= 0.95 * STEPS * len(PROMPTS)
    assert worst < 2.5
    assert sum(path.stat().st_size for path in form.glob("model.onnx*")) < 175e6
    assert said(form, answers[0]).startswith("The capital of France is Paris.")


def said(folder: Path, answer: Answer) -> str:
    """The model's own answer to the prompt of another's."""
    decoder = Decoder(onnx.open_session(str(folder / "model.onnx")), GEOMETRY)
    logits, tokens = decoder.extend(answer.tokens[: answer.prompt]), []
    for _ in range(STEPS):
        tokens.append(int(logits.argmax()))
        logits = decoder.extend(tokens[-1:])
    return str(AutoTokenizer.from_pretrained(folder).decode(tokens))


def test_answers_are_answers(folders: dict[str, Path], answers: list[Answer]) -> None:
    """That the weights are what they are said to be."""
    tokenizer = AutoTokenizer.from_pretrained(folders["hf"])
    assert "Paris" in tokenizer.decode(answers[0].tokens[answers[0].prompt :])
