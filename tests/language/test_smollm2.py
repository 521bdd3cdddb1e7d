"""A real model: our decoder's tokens are those of transformers, in FP32 each of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from examples.models import smollm2
from shared.runtime import onnx
from shared.runtime.caches import Geometry
from shared.runtime.decoder import Decoder

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
