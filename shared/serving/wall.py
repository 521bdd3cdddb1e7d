"""Which models run in this process, and which behind the wall: in a process of their own that can do nothing else.

By default, this process runs only what came with the deployment itself, in the models layer. See decision 29.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, cast

from msgspec import Struct

from shared.config import Config, MiB
from shared.errors import AmaasError

if TYPE_CHECKING:
    from shared.registry.state import Version
    from shared.runtime.confined import Confined
    from shared.runtime.signature import Session
    from shared.runtime.zygotes import Cutting, Decoding

LAYER, NONE, SIGNED = "layer", "none", "signed"
DEADLINE = "deadline"  # as confined.Confined calls it
logger = logging.getLogger(__name__)


class Wall(Struct, frozen=True):
    """trusted: "layer": models of the models layer run in this process; "signed": those, and versions whose package is
    signed with one of `signers` (DER); "none": none. memory: bytes that a confined model may take beside its own file.
    filtered: a model is not served without the system-call filter.
    """

    trusted: str = LAYER
    signers: tuple[bytes, ...] = ()
    memory: int = 1024 * MiB
    filtered: bool = True

    @classmethod
    def of(cls, config: Config) -> Wall:
        return cls(config.trusted_models, config.trusted_signers, config.model_memory, config.require_filter)

    @property
    def layer_is_trusted(self) -> bool:
        return self.trusted != NONE

    def confines(self, model: str, layer: Container[str]) -> bool:
        """Whether a model is probably confined, as far as its name says. layer: names in the models layer."""
        return self.trusted == NONE or model not in layer

    def is_expected(self, layer: Container[str], names: Sequence[str]) -> bool:
        """Whether the first call is probably of a confined model. names: those that are loaded before it."""
        return any(self.confines(name, layer) for name in names) if names else not layer

    def trusts(self, version: Version, read: Callable[[str], bytes]) -> bool:
        """Whether a version that is not in the layer runs in this process. read: a blob. Raises Unavailable."""
        if self.trusted != SIGNED or version.package is None:
            return False
        from shared.signing import model_signing  # few deployments name keys

        files = {"model.onnx": version.model, "amaas.json": version.manifest, **version.files}
        return model_signing.verify(read(version.package), files, self.signers)

    def prepare(self) -> None:
        """Have the process that others are forked from start, while something else is waited for."""
        from shared.runtime import zygotes  # without numpy

        try:
            zygotes.zygote()
        except OSError as error:  # tried again, and told, when a model is opened
            logger.error("no process can be started", extra={"why": str(error)})

    def open(self, path: str, *, direct: bool, threads: int, mapped: bool = True) -> Session:
        """A session of the model in a file, in this process or confined. Raises what loading raises."""
        if direct:
            from shared.runtime import onnx  # 90 ms, with numpy

            return onnx.load(path, threads=threads, mapped=mapped)
        from shared.runtime import confined

        return confined.load(path, threads=threads, mapped=mapped, memory=self.memory, filtered=self.filtered)

    def open_decoder(
        self, path: str, data: Mapping[str, str], decoding: Decoding, *, direct: bool, threads: int
    ) -> Session:
        """A session of the decoder in a file, Reading or Listening; as `open`. data: see confined.load_decoder."""
        if direct:
            from shared.runtime import hearer, reading

            return reading.load_files(path, data, decoding, threads, hearer.load if decoding.hears else reading.load)
        from shared.runtime import confined

        return confined.load_decoder(path, data, decoding, threads=threads, memory=self.memory, filtered=self.filtered)

    def open_tokenizer(self, raw: bytes, cutting: Cutting, *, direct: bool) -> Session:
        """A session of a tokenizer.json, as `open` has it of a model; see tokens.Tokenizer, language.Language."""
        if direct and cutting.plain:
            from shared.runtime import language

            return language.load(raw)
        if direct:
            from shared.runtime import tokens

            return tokens.load(raw, cutting)
        from shared.runtime import confined

        return confined.load_tokenizer(raw, cutting, memory=self.memory, filtered=self.filtered)


def watch(session: Session, model: str, version: int) -> None:
    """Have the deaths of a confined session's model counted, by model. Warns of one that runs without the filter."""
    if not hasattr(session, "on_death"):  # not imported for models that run here
        return
    confined = cast("Confined", session)
    confined.on_death = partial(count_death, model, version)
    if not confined.filtered:
        from shared import metrics

        logger.warning("no system-call filter", extra={"model": model, "version": version})
        metrics.emit("ModelUnfiltered", 1, service="wall")


def resident(session: Session) -> int:
    """Bytes of memory that a confined session has now, whatever its file's size; 0 for one in this process."""
    return getattr(session, "resident", 0)


@contextmanager
def counting_deaths(model: str, version: int) -> Iterator[None]:
    """Count a death while a model is loaded, when there is no session yet to watch."""
    try:
        yield
    except AmaasError as error:
        if (reason := getattr(error, "reason", None)) is not None:
            count_death(model, version, reason)
        raise


def count_death(model: str, version: int, reason: str) -> None:
    """reason: the name of a signal, or DEADLINE."""
    from shared import metrics  # here and above: a cold start waits for this module before all others

    logger.error("a model ended its process", extra={"model": model, "version": version, "reason": reason})
    name = "ModelTimedOut" if reason == DEADLINE else "ModelCrashed"
    metrics.emit(name, 1, service="wall")  # for the alarm
    metrics.emit(name, 1, service="wall", model=model)
