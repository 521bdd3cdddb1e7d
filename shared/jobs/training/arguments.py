"""Which options of training.train a training request may give, and with which values.

The list is closed: what is not here cannot be asked for over HTTP, above all a class of the container's code and a path
in the container. tests/training compares it with the options that there are. Whether a value makes sense is said by the
training itself.
"""

from __future__ import annotations

import re
from typing import Any

from shared.errors import BadInput

# set by the container: where data, output and checkpoints are
OWN = ("data", "out", "root", "name", "checkpoint", "resume", "no-resume", "quiet", "help")
FLAGS = """
    bf16 cased channels-last characters deterministic measure near no-flip no-measure no-reference-rows reference-rows
    """.split()  # noqa: SIM905
NUMBERS = """
    batch buckets checkpoint-minutes clip crop cutmix delta dropout ema embedding epochs epsilon erase
    frequency-mask heads hidden label-smoothing layers longest lr max-length mixup momentum noise patience price
    randaugment rate rotate seconds seed shift size teacher-share temperature time-mask time-shift token-dropout
    vocabulary warmup weight-decay widths
    """.split()  # noqa: SIM905
WORDS = """delimiter device optimizer outliers schedule task""".split()  # noqa: SIM905
TEXTS = """decimal group intended-use licence target text""".split()  # noqa: SIM905
WORD = r"[a-z0-9][a-z0-9:-]{0,31}"
NUMBER = r"-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?|-?\.[0-9]+"  # as JSON and command lines write it
NETWORK = r"[a-z0-9][a-z0-9-]{0,31}|torchvision:[a-z0-9_]{1,64}"
KNOWN = frozenset([*FLAGS, *NUMBERS, *WORDS, *TEXTS, "model", "compile", "pretrained", "teacher"])


def require_permitted(arguments: dict[str, Any]) -> None:
    """Raises BadInput for an option or a value that a request may not give. The teacher is checked elsewhere."""
    for name, value in arguments.items():
        if name in OWN:
            raise BadInput(f"the argument {name!r} is set by the job itself: omit it")
        if name not in KNOWN:
            raise BadInput(
                f"{name!r} is no argument of a training job: training/README.md lists the options, without their dashes"
            )
        if value is not False and not _fits(name, value):
            raise BadInput(_problem(name, value))


def _fits(name: str, value: Any) -> bool:
    if name in NUMBERS:
        values = value if isinstance(value, list) else [value]
        return all(not isinstance(one, bool) and re.fullmatch(NUMBER, str(one)) for one in values)
    if name in FLAGS or name == "pretrained":
        return value is True
    if name in WORDS or name == "compile":
        return (name == "compile" and value is True) or _matches(WORD, value)
    return _matches(NETWORK, value) if name == "model" else isinstance(value, str) or name == "teacher"


def _matches(pattern: str, value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _problem(name: str, value: Any) -> str:
    shown = f"{str(value)[:80]!r} does not fit the argument {name!r}"
    if name == "model":
        return (
            f"{shown}: a job trains a built-in network, as quick-cnn, or torchvision:NAME; "
            "`amaas train --local` trains a class of your own and pushes the result"
        )
    if name == "pretrained":
        return f"{shown}: a job takes torchvision's weights, which true asks for; a file is for `amaas train --local`"
    kind = (
        "a number" if name in NUMBERS else "true or false" if name in FLAGS else "a word" if name in WORDS else "a text"
    )
    return f"{shown}: it has to be {kind}"
