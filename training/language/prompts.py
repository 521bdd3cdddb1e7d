"""What language models are tried with: questions as chats, and texts that ship with this folder.

Of a model with a chat template, the questions are asked as it was trained to be asked; of one without, they are texts
to go on with. The texts are of this project's own documentation and written for this, under its licence.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import tokenizers
from amaas.api import huggingface
from amaas.errors import AmaasError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from shared.runtime.caches import Geometry
from training.errors import TrainingError

HERE = Path(__file__).parent
QUESTIONS = (
    "What is the capital of France?", "Write a haiku about the sea.", "Count from one to ten.",
    "Explain what a hash table is.", "Give me a recipe for pancakes.", "Who wrote Romeo and Juliet?",
    "Translate 'good morning' to Spanish.", "What is 12 plus 30?", "Write a Python function that reverses a string.",
    "Name three planets.", "Why is the sky blue?", "Summarize: The cat sat on the mat and looked at the dog.",
    "Write an e-mail that asks for a day off.", "What is the boiling point of water?", "List four colors.",
    "Tell me a short story about a lost key.", "What does a judge do?", "How do I sort a list in Python?",
    "Describe a rainy morning in one sentence.", "What is the difference between a frog and a toad?",
)  # fmt: skip
CONTEXT = 64  # tokens that a model of a short context keeps free for its answer


@dataclass(frozen=True)
class Tongue:
    """A language model's folder, as far as its texts go. geometry: of its caches. ends: tokens that end a text."""

    tokenizer: tokenizers.Tokenizer
    template: str | None
    special: dict[str, str]
    geometry: Geometry | None
    ends: list[int]
    context: int | None

    def prompts(self) -> list[list[int]]:
        """The tokens of each question. Raises TrainingError for a tokenizer that has none."""
        found = [self._prompt(question) for question in QUESTIONS]
        if not all(found):
            raise TrainingError("the tokenizer makes no tokens of a text: save it with the library again")
        return found

    def text(self, name: str) -> list[int]:
        """The tokens of one of the texts beside this, as many as the model can have."""
        tokens: list[int] = self.tokenizer.encode((HERE / name).read_text(encoding="utf-8")).ids
        return tokens[: self.context] if self.context else tokens

    def told(self, tokens: list[int]) -> dict[str, Any]:
        """A golden case's inputs: the text, where the gate makes the same tokens of it."""
        text = self.tokenizer.decode(tokens, skip_special_tokens=False)
        same = self.tokenizer.encode(text).ids == tokens
        return {"text": text} if same else {"tokens": tokens}

    def _prompt(self, question: str) -> list[int]:
        if self.template is not None:
            text = _rendered(self.template, question, self.special)
            tokens: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        else:
            tokens = self.tokenizer.encode(question).ids
        return tokens[-max(1, self.context - CONTEXT) :] if self.context else tokens


def of_folder(folder: Path) -> Tongue:
    """Raises TrainingError."""
    try:
        described, template = huggingface.derive(folder)
    except AmaasError as error:
        raise TrainingError(str(error)) from error
    before, after = described["preprocess"], described["postprocess"]
    heads, width = after.get("heads"), after.get("width")
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(folder / huggingface.TOKENIZER))
    except Exception as error:  # the library raises Exception itself
        raise TrainingError(f"{folder / huggingface.TOKENIZER} is no tokenizer ({error}): save it again") from error
    geometry = Geometry(heads, width) if heads and width else None
    return Tongue(tokenizer, template, before.get("special", {}), geometry, after["ends"], after.get("context"))


def _rendered(template: str, question: str, special: dict[str, str]) -> str:
    """The chat's text by Hugging Face's rules. Raises TrainingError."""
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = _refuse
    messages = [{"role": "user", "content": question}]
    try:
        return environment.from_string(template).render(messages=messages, add_generation_prompt=True, **special)
    except (jinja2.TemplateError, TypeError, ValueError) as error:
        raise TrainingError(f"the chat template makes no text of a message ({error}): mend it, or remove it") from error


def _refuse(message: str) -> None:
    raise ValueError(message)
