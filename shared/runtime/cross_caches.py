"""Which inputs and outputs of a speech model's graphs are what: those of an encoder, and of the decoder that hears it.

As Optimum and onnx-community export Whisper (transformers' WhisperForConditionalGeneration):

    encoder     input_features → last_hidden_state
    decoder     input_ids, encoder_hidden_states, past_key_values.N.decoder.key …, past_key_values.N.encoder.key …
                → logits, present.N.decoder.key …, present.N.encoder.key …

The decoder's own caches grow with the tokens; those of the encoder are keys and values of the sound, computed by the
first step and only read by the others. Optimum writes both kinds of steps as one graph (use_cache_branch), or as two.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from shared.runtime.caches import BRANCH, DATATYPES, IDS, LOGITS, PRESENT, Cache, Geometry, cache_of, datatype_of
from shared.runtime.signature import Unloadable

FEATURES, HIDDEN, POSITION = "input_features", "encoder_hidden_states", "cache_position"
ENCODED = ("last_hidden_state", "hidden_states", "encoder_hidden_states")
PAST = re.compile(r"past_key_values[._](\d+)[._](decoder|encoder)[._](key|value)")
EXPORT = "export the model with Optimum's task automatic-speech-recognition-with-past"


class Hearing(Struct, frozen=True):
    """An encoder's graph. output: its name. frames: of a window of features; mels: numbers of each; None where open.

    width: of what it gives for a place; places: for how many it does.
    """

    output: str
    datatype: str
    mels: int | None
    frames: int | None
    width: int | None
    places: int | None


class Step(Struct, frozen=True):
    """A decoder's graph. own: caches of tokens. heard: caches of the sound. integers: as Layout of caches.py.

    hidden: the datatype of what the encoder gives, where the graph takes it. places, width: of it, where they are said.
    """

    own: tuple[Cache, ...]
    heard: tuple[Cache, ...]
    integers: dict[str, str]
    hidden: str | None
    places: int | None
    width: int | None

    @property
    def merged(self) -> bool:
        return BRANCH in self.integers


def hearing_of(inputs: Iterable[Any], outputs: Iterable[Any]) -> Hearing:
    """Of ONNX Runtime's arguments. Raises Unloadable for what is no encoder of sound."""
    by_name = {argument.name: argument for argument in inputs}
    found = {argument.name: argument for argument in outputs}
    if set(by_name) != {FEATURES} or not (given := [name for name in ENCODED if name in found]):
        raise Unloadable(
            f"the encoder takes {sorted(by_name)} and gives {sorted(found)}: one of speech takes {FEATURES!r} and "
            f"gives {ENCODED[0]!r}; {EXPORT}"
        )
    shape, encoded = by_name[FEATURES].shape, found[given[0]].shape
    if len(shape) != 3 or len(encoded) != 3:
        raise Unloadable(
            f"the encoder goes from {shape} to {encoded}: both have three axes, [batch, mels, frames] and [batch, "
            "places, width]"
        )
    sizes = (_number(shape[1]), _number(shape[2]), _number(encoded[2]), _number(encoded[1]))
    datatype = datatype_of(by_name[FEATURES], DATATYPES)
    return Hearing(given[0], datatype, *sizes)


def step_of(inputs: Iterable[Any], outputs: Iterable[Any], geometry: Geometry | None = None) -> Step:
    """Of a decoder's graph, with or without caches as inputs. Raises Unloadable for what is none."""
    presents = {match[1]: one.name for one in outputs if (match := PRESENT.fullmatch(one.name))}
    own, heard, integers, hidden = [], [], {}, None
    for argument in inputs:
        if match := PAST.fullmatch(argument.name):
            name = f"{match[1]}.{match[2]}.{match[3]}"
            if match[2] == "decoder":
                if name not in presents:
                    raise Unloadable(f"the graph takes {argument.name!r}, and gives no present.{name}; {EXPORT}")
                own.append(cache_of(argument, presents[name], geometry))
            else:  # of a graph that reads it only, there is no output
                heard.append(cache_of(argument, presents.get(name, ""), geometry))
        elif argument.name == HIDDEN:
            hidden = argument
        elif argument.name in (IDS, BRANCH, POSITION):
            integers[argument.name] = datatype_of(argument, ("INT64", "INT32", "BOOL"))
        else:
            raise Unloadable(f"the decoder takes {argument.name!r}, which no model of speech has; {EXPORT}")
    if IDS not in integers or LOGITS not in {one.name for one in outputs}:
        raise Unloadable(f"the decoder has no {IDS} or no {LOGITS}; {EXPORT}")
    if hidden is None:
        return Step(tuple(own), tuple(heard), integers, None, None, None)
    places, width = (_number(size) for size in hidden.shape[1:3]) if len(hidden.shape) == 3 else (None, None)
    return Step(tuple(own), tuple(heard), integers, datatype_of(hidden, DATATYPES), places, width)


def require_pair(first: Step, later: Step) -> None:
    """Raises Unloadable unless the first step begins with a sound, and the later ones go on with caches of it."""
    if first.hidden is None:
        raise Unloadable(f"the decoder takes no {HIDDEN}: it hears nothing; {EXPORT}")
    if not later.own or not later.heard:
        raise Unloadable(
            f"the decoder takes no caches of tokens and of sound: push decoder_model_merged.onnx, or "
            f"decoder_with_past_model.onnx beside decoder_model.onnx; {EXPORT}"
        )


def _number(size: Any) -> int | None:
    return size if isinstance(size, int) and size > 0 else None
