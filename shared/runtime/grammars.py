"""The only module that knows llguidance: which tokens may come next, so that a text is of a grammar.

Grammars come from callers, as JSON schemas. They guarantee a text's form, not its truth.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import llguidance
import msgspec
import numpy as np
import tokenizers
from msgspec import Meta, Struct

from shared.errors import BadInput

MAX_SCHEMA = 64 * 1024  # characters
# as json.dumps writes it, and models have read it: free whitespace would let a small one write it forever
JSON_FORM: Any = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


class Grammar(Struct, frozen=True):
    """kind: what `text` is: a JSON schema, in JSON, or a grammar of Lark's kind, which only we write.

    vocabulary: of the model: its tokenizer may know fewer tokens. ends: tokens that end the text.
    """

    kind: Literal["json", "lark"]
    text: Annotated[str, Meta(max_length=MAX_SCHEMA)]
    vocabulary: Annotated[int, Meta(ge=1, le=10_000_000)]
    ends: list[int]


DECODER = msgspec.json.Decoder(Grammar)


class Grammars:
    """Of one tokenizer. It keeps the last grammar with what it has read: a text's tokens come one by one."""

    def __init__(self, tokenizer: tokenizers.Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._known: tuple[tuple[int, tuple[int, ...]], llguidance.LLTokenizer] | None = None
        self._body = b""
        self._matcher: llguidance.LLMatcher | None = None
        self._read: list[int] = []

    def mask(self, body: bytes, chosen: list[int]) -> np.ndarray:
        """Which tokens may follow the chosen ones: [vocabulary], of uint8, 0 or 1. body: a Grammar in JSON.

        Raises BadInput for a grammar that cannot be met or is too large, and for tokens that are not of it.
        """
        grammar = DECODER.decode(body)
        if self._matcher is None or body != self._body or chosen[: len(self._read)] != self._read:
            self._body, self._matcher, self._read = body, self._start(grammar), []
        added, matcher = chosen[len(self._read) :], self._matcher
        if added and not matcher.consume_tokens(added):
            self._matcher = None
            raise BadInput(f"the text left its grammar: {matcher.get_error()[:300]}")
        self._read = list(chosen)
        bits = np.frombuffer(matcher.compute_bitmask(), np.uint8)
        if matcher.is_error():
            self._matcher = None
            raise BadInput(f"the grammar became too large for its text: {matcher.get_error()[:300]}; make it simpler")
        return np.unpackbits(bits, bitorder="little")[: grammar.vocabulary]

    def _start(self, grammar: Grammar) -> llguidance.LLMatcher:
        try:
            if grammar.kind == "json":
                source = llguidance.LLMatcher.grammar_from_json_schema(grammar.text, overrides=JSON_FORM)
            else:
                source = llguidance.LLMatcher.grammar_from_lark(grammar.text)
        except ValueError as error:
            raise BadInput(f"the JSON schema cannot be used: {str(error)[:300]}") from error
        matcher = llguidance.LLMatcher(self._of_model(grammar), source, log_level=0)
        if matcher.is_error():
            raise BadInput(
                f"no text can be of this schema, or it says what is not supported: {matcher.get_error()[:300]}"
            )
        return matcher

    def _of_model(self, grammar: Grammar) -> llguidance.LLTokenizer:
        key = (grammar.vocabulary, tuple(grammar.ends))
        if self._known is None or self._known[0] != key:
            form = self._tokenizer.to_str()
            tokenizer = llguidance.LLTokenizer(form, n_vocab=grammar.vocabulary, eos_token=grammar.ends or None)
            self._known = key, tokenizer
        return self._known[1]
