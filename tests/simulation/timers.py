"""The timers of the inbox in a simulated world: executions that wait, then invoke ingest.

None is lost; starting one may fail as any call does.
"""

from __future__ import annotations

import msgspec

from shared.uploads.quiet import INCOMPLETE, QuietFolder
from tests.simulation.cloud import Cloud
from tests.simulation.engine import Fault, StoreCall

QUIET = 20.0  # seconds, as in template.yaml


class Timers:
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._names: set[tuple[str, bool]] = set()

    def start(self, folder: QuietFolder) -> None:
        process, engine = self._cloud.engine.running, self._cloud.engine
        assert process is not None, "only processes start timers"
        fault = process.pause(StoreCall("start_execution", folder.seen)) or Fault()
        if fault.before is not None:
            raise fault.before
        if (folder.seen, folder.last) not in self._names:
            self._names.add((folder.seen, folder.last))
            event = msgspec.to_builtins(folder)
            engine.after(INCOMPLETE if folder.last else QUIET, lambda: self._cloud.deliver("ingest", event))
        if fault.after is not None:
            raise fault.after
