"""The only module that knows the tokenizers library: a tokenizer as a session, from texts to numbers of their tokens.

The library runs what a package's tokenizer.json says, patterns included, in native code that has no bounds of its own.
A stranger's is therefore loaded in a runner, in which this module is imported.
"""

from __future__ import annotations

import os
from codecs import BOM_UTF8
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
VOCABULARY = "vocabulary"
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
        # what nobody gives: its shape says how many ids there are, also through the wall
        self.optional = [TensorSpec(VOCABULARY, "INT64", [tokenizer.get_vocab_size()])]
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
        self._level(encodings, longest)
        if longest > MAX_TOKENS and not self._tokenizer.truncation:
            raise TooLarge(f"the text has {longest:,} tokens, more than {MAX_TOKENS:,}; send a part of it")
        with translated_errors("the model's tokenizer makes rows of different lengths"):
            return [np.array([MEMBERS[name](e) for e in encodings], np.int64) for name in outputs or MEMBERS]

    def _level(self, encodings: list[tokenizers.Encoding], longest: int) -> None:
        """Rows of one length, where the tokenizer pads to one that it does not cut to."""
        padding = dict(self._tokenizer.padding or {})
        if padding.pop("length", None) is None or longest > MAX_TOKENS:
            return
        padding.pop("pad_to_multiple_of", None)
        for encoding in encodings:
            if len(encoding.ids) < longest:
                encoding.pad(longest, **padding)

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
    return tokenizers.Tokenizer.from_buffer(raw.removeprefix(BOM_UTF8))


def parse_plain(raw: bytes) -> tokenizers.Tokenizer:
    """A tokenizer from its JSON, that neither cuts nor pads. Raises what the library does."""
    parsed = _read(raw)
    parsed.no_truncation()
    parsed.no_padding()
    return parsed


def parse(raw: bytes, cutting: Cutting) -> tokenizers.Tokenizer:
    """A tokenizer from its JSON, which cuts and pads as that says, but for what `cutting` says. Raises what the
    library does.
    """
    parsed = _read(raw)
    own = parsed.truncation or {}
    longest = cutting.longest or own.get("max_length")
    longest = min(longest or cutting.fixed, cutting.fixed) if cutting.fixed else longest
    if longest:
        # a stride is how far the parts of a long text overlap, of which the first one is all that is asked for
        parsed.enable_truncation(longest, **{name: own[name] for name in ("strategy", "direction") if name in own})
    padding = _padding(parsed)
    if cutting.fixed:
        padding |= {"length": cutting.fixed, "pad_to_multiple_of": None}
    elif cutting.whole is not None:
        padding["length"] = longest if cutting.whole else None
    parsed.enable_padding(**padding)
    return parsed


def _padding(tokenizer: tokenizers.Tokenizer) -> dict[str, Any]:
    """Its own, as the library takes it; without, to the longest text, by a token that has a name for it."""
    if tokenizer.padding:
        return dict(tokenizer.padding)
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
