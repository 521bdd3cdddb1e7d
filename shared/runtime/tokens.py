"""The only module that knows the tokenizers library: a tokenizer as a session, from texts to numbers of their tokens.

The library runs what a package's tokenizer.json says, patterns included, in native code that has no bounds of its own.
A stranger's is therefore loaded in a runner, in which this module is imported.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tokenizers

from shared.errors import AmaasError, BadInput, TooLarge
from shared.runtime.signature import Signature, TensorSpec, Unloadable
from shared.runtime.zygotes import Cutting

MAX_TOKENS = 16_384  # of a text that neither the package nor its tokenizer cuts
PADS = ("[PAD]", "<pad>", "<|endoftext|>", "</s>")
TEXTS, PAIRED = "texts", "paired"
# What is told of each token, by output: its number in the vocabulary; 0 for padding; 1 in the second text of a pair;
# 1 for what the tokenizer has added; its place in the text, [start, end) in characters.
MEMBERS: dict[str, Callable[[tokenizers.Encoding], Any]] = {
    "ids": lambda encoding: encoding.ids,
    "mask": lambda encoding: encoding.attention_mask,
    "types": lambda encoding: encoding.type_ids,
    "special": lambda encoding: encoding.special_tokens_mask,
    "offsets": lambda encoding: encoding.offsets,
}


class Tokenizer:
    """As signature.Session. texts: those of all inputs, flat; paired: for each input, whether it has two of them.

    Each output is [inputs, tokens], of INT64; offsets are [inputs, tokens, 2].
    """

    def __init__(self, tokenizer: tokenizers.Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.inputs = [TensorSpec(TEXTS, "BYTES", [-1]), TensorSpec(PAIRED, "BOOL", [-1])]
        self.optional: list[TensorSpec] = []
        self.outputs = [TensorSpec(name, "INT64", [-1, -1, 2][: 3 if name == "offsets" else 2]) for name in MEMBERS]
        self._signature = Signature(self.inputs, self.optional, self.outputs)

    def run(self, outputs: list[str] | None, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        """The named outputs, or all. Raises BadInput, TooLarge."""
        checked = self._signature.check(outputs, feeds)
        texts = iter(checked[TEXTS].tolist())
        items = [(next(texts), next(texts)) if paired else next(texts) for paired in checked[PAIRED].tolist()]
        with translated_errors("the model's tokenizer cannot take this text"):
            encodings = self._tokenizer.encode_batch(items)
        longest = max(len(encoding.ids) for encoding in encodings)
        if longest > MAX_TOKENS and not self._tokenizer.truncation:
            raise TooLarge(f"the text has {longest:,} tokens, more than {MAX_TOKENS:,}; send a part of it")
        with translated_errors("the model's tokenizer makes rows of different lengths"):
            return [np.array([MEMBERS[name](e) for e in encodings], np.int64) for name in outputs or MEMBERS]

    def vocabulary_texts(self) -> list[str]:
        """Texts of what it knows: it may be one of another alphabet, or of none."""
        vocabulary = self._tokenizer.get_vocab(with_added_tokens=False)
        tokens = sorted(vocabulary, key=vocabulary.__getitem__)[:: len(vocabulary) // 8 + 1]
        return [self._tokenizer.decode([vocabulary[token] for token in tokens]), "".join(tokens)]


def load(raw: bytes, cutting: Cutting) -> Tokenizer:
    """A session of a tokenizer.json. Raises Unloadable with the library's reason."""
    try:
        with translated_errors("it is no tokenizer"):
            return Tokenizer(parse(raw, cutting))
    except BadInput as error:
        raise Unloadable(str(error)) from error.__cause__


def _read(raw: bytes) -> tokenizers.Tokenizer:
    # threads of its own would compete with the model's, on the one CPU of a function; the sandbox has none
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    return tokenizers.Tokenizer.from_buffer(raw)


def parse_plain(raw: bytes) -> tokenizers.Tokenizer:
    """A tokenizer from its JSON, that neither cuts nor pads. Raises what the library does."""
    parsed = _read(raw)
    parsed.no_truncation()
    parsed.no_padding()
    return parsed


def parse(raw: bytes, cutting: Cutting) -> tokenizers.Tokenizer:
    """A tokenizer from its JSON, set to cut and pad. Raises what the library does."""
    parsed = _read(raw)
    longest = cutting.longest or cutting.fixed or (parsed.truncation or {}).get("max_length")
    if longest:
        parsed.enable_truncation(longest)
    whole = cutting.fixed or (longest if cutting.whole else None)
    parsed.enable_padding(length=whole, **_padding(parsed))
    return parsed


def _padding(tokenizer: tokenizers.Tokenizer) -> dict[str, Any]:
    declared = tokenizer.padding or {}
    if declared:
        return {name: declared[name] for name in ("pad_id", "pad_type_id", "pad_token", "direction")}
    token = next((token for token in PADS if tokenizer.token_to_id(token) is not None), None)
    return {"pad_token": token, "pad_id": tokenizer.token_to_id(token)} if token else {}


@contextmanager
def translated_errors(what: str) -> Iterator[None]:
    """The library's errors as BadInput. It raises Exception itself; what Rust panics with is not even that."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit, MemoryError, AmaasError):
        raise
    except BaseException as error:
        raise BadInput(f"{what}: {str(error)[:200]}") from error
