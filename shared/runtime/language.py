"""A decoder's texts as a session: text to tokens and back, chats to tokens, and the tokens that a grammar allows.

One session, so that all of it can be behind the wall at once: a tokenizer and a template are of the package, and run in
native code that has no bounds of its own; a schema is of a caller.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tokenizers

from shared.errors import BadInput, TooLarge
from shared.runtime import grammars, templates, tokens
from shared.runtime.signature import Signature, TensorSpec, Unloadable

MAX_TOKENS = 1_000_000  # of one text: more than any model's context
TEXT, PROMPT, CHAT, IDS, KNOWN, GRAMMAR, CHOSEN = "text", "prompt", "chat", "ids", "known", "grammar", "chosen"
MASK, FACTS = "mask", "facts"
BYTES = (TEXT, PROMPT, CHAT, GRAMMAR)
Feeds = dict[str, np.ndarray]


class Language:
    """As signature.Session. What is computed depends on what is asked for, and given:

    ids, [tokens], of INT64: of `text` as it is; of `prompt`, with what the tokenizer adds to it; of `chat`, a
        templates.Chat in JSON. Each is [1], of BYTES. Special tokens are read where a text has them.
    text, [2], of BYTES: of the first `known` of `ids`, and of all of them; without special tokens.
    mask, [vocabulary], of UINT8: tokens that may follow `chosen` by `grammar`, a grammars.Grammar in JSON.
    facts, [1], of INT64: the highest number of a token, and one.
    """

    def __init__(self, tokenizer: tokenizers.Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._grammars = grammars.Grammars(tokenizer)
        self.inputs: list[TensorSpec] = []
        self.optional = [TensorSpec(name, "BYTES", [-1]) for name in BYTES]
        self.optional += [TensorSpec(name, "INT64", [-1]) for name in (IDS, KNOWN, CHOSEN)]
        self.outputs = [TensorSpec(IDS, "INT64", [-1]), TensorSpec(TEXT, "BYTES", [-1])]
        self.outputs += [TensorSpec(MASK, "UINT8", [-1]), TensorSpec(FACTS, "INT64", [-1])]
        self._signature = Signature(self.inputs, self.optional, self.outputs)
        self._work: dict[tuple[str, frozenset[str]], Callable[[Feeds], np.ndarray]] = {
            (IDS, frozenset({TEXT})): lambda feeds: self._encode(_first(feeds[TEXT]), whole=False),
            (IDS, frozenset({PROMPT})): lambda feeds: self._encode(_first(feeds[PROMPT]), whole=True),
            (IDS, frozenset({CHAT})): self._read_chat,
            (TEXT, frozenset({IDS, KNOWN})): self._decode,
            (MASK, frozenset({GRAMMAR, CHOSEN})): self._mask,
            (FACTS, frozenset()): lambda feeds: self._facts(),
        }

    def run(self, outputs: list[str] | None, feeds: Feeds) -> list[np.ndarray]:
        """Raises BadInput, TooLarge."""
        checked = self._signature.check(outputs, feeds)
        work = self._work.get((outputs[0] if outputs and len(outputs) == 1 else "", frozenset(checked)))
        if work is None:
            raise BadInput(f"of {sorted(checked)} there is no {outputs}: see language.Language")
        return [work(checked)]

    def _encode(self, text: str, *, whole: bool) -> np.ndarray:
        """whole: with the tokens that the tokenizer puts before and behind a text."""
        with tokens.translated_errors("the model's tokenizer cannot take this text"):
            ids = self._tokenizer.encode(text, add_special_tokens=whole).ids
        if len(ids) > MAX_TOKENS:
            raise TooLarge(f"the text has {len(ids):,} tokens, more than {MAX_TOKENS:,}; send a part of it")
        return np.array(ids, np.int64)

    def _read_chat(self, feeds: Feeds) -> np.ndarray:
        return self._encode(templates.render(_first(feeds[CHAT]).encode()), whole=False)

    def _decode(self, feeds: Feeds) -> np.ndarray:
        ids, known = feeds[IDS].tolist(), int(feeds[KNOWN].reshape(-1)[0])
        with tokens.translated_errors("the model's tokenizer has no text for these tokens"):
            texts = [self._tokenizer.decode(ids[:known]), self._tokenizer.decode(ids)]
        return np.array(texts, object)

    def _mask(self, feeds: Feeds) -> np.ndarray:
        with tokens.translated_errors("the grammar cannot be used"):
            return self._grammars.mask(_first(feeds[GRAMMAR]).encode(), feeds[CHOSEN].tolist())

    def _facts(self) -> np.ndarray:
        numbers = self._tokenizer.get_vocab(with_added_tokens=True).values()
        return np.array([max(numbers, default=-1) + 1], np.int64)


def _first(texts: np.ndarray) -> str:
    if len(texts) != 1:
        raise BadInput(f"one text is taken at a time, not {len(texts)}")
    return str(texts[0])


def load(raw: bytes) -> Language:
    """The session of a tokenizer.json. Raises Unloadable with the library's reason."""
    try:
        with tokens.translated_errors("it is no tokenizer"):
            return Language(tokens.parse_plain(raw))
    except BadInput as error:
        raise Unloadable(str(error)) from error.__cause__


def warm_up() -> None:
    """See templates.warm_up."""
    templates.warm_up()
