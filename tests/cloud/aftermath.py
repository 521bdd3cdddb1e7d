"""When all is quiet: what became of a stream of calls. Each of the problems is something lost, doubled or wrong."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import Any

from amaas import Client

from shared.clock import now
from tests.cloud.conftest import Cloud
from tests.cloud.running import resource
from tests.cloud.stream import FINAL, INPUT, ROWS, Stream


class Aftermath:
    """leases: of killed attempts, whose end was brought on. looks, restarts: how many there were."""

    def __init__(self, cloud: Cloud, stream: Stream) -> None:
        self._cloud, self._stream = cloud, stream
        self.leases = self.looks = self.restarts = 0

    def settle(self, *, looks: bool = True, patience: float = 120) -> None:
        """Until each upload and job has an end, or the time is over.

        What happens by schedule is made to happen: the look at unfinished uploads, which comes every 15 minutes, and
        the end of a dead attempt's lease. Jobs whose run died are started again, as their state says.
        """
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and (self._open_uploads() or self._open_jobs()):
            time.sleep(1)
            if looks:
                self._end_leases()
                self._look()
            for job in self._open_jobs():
                state = self._get(f"/batch/{job}")
                if state["state"] in ("failed", "cancelled"):
                    self.restarts += 1
                    self._cloud.api.post(f"/batch/{job}/start", json={})

    def _look(self) -> None:
        """As its schedule calls it; without the ten minutes that it leaves to events."""
        self.looks += 1
        event = json.dumps({"look": "uploads", "patience": 0})
        self._cloud.aws("lambda").invoke(FunctionName=resource(self._cloud, "IngestFunction"), Payload=event)

    def _end_leases(self) -> None:
        bucket = self._cloud.access["bucket"]
        for upload in self._open_uploads():
            key = f"models/{self._stream.uploads[upload][0]}/uploads/{upload}.json"
            stored = self._cloud.s3.get_object(Bucket=bucket, Key=key)
            state = json.loads(stored["Body"].read())
            held = state.get("lease")
            if held and held["until"] > now() and now(-20) > state["updated_at"]:  # all deliveries are over
                state["lease"] = held | {"until": now(-1)}
                self._cloud.s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(state), IfMatch=stored["ETag"])
                self.leases += 1

    def _open_uploads(self) -> list[str]:
        return [one for one in self._stream.uploads if self._get(f"/uploads/{one}")["state"] not in FINAL]

    def _open_jobs(self) -> list[str]:
        return [one for one in self._stream.jobs if self._get(f"/batch/{one}")["state"] != "done"]

    def _get(self, path: str, **query: Any) -> dict[str, Any]:
        answer = self._cloud.api.get(path, params=query)
        assert answer.status_code in (200, 202), f"{path}: {answer.text}"
        return dict(answer.json())

    def problems(self) -> list[str]:
        problems: list[str] = []
        for model in [*self._stream.models, self._stream.fixed]:
            history = self._get(f"/models/{model}/history", verify=True, limit=200)
            assert history["next"] is None, "the stream is longer than one page"
            if not history["verified"]:
                problems.append(f"the log of {model} does not verify: {history['problems']}")
            problems += self._uploads(model, history["records"]) + self._moves(model, history["records"])
        return problems + self._jobs()

    def _uploads(self, model: str, records: list[dict[str, Any]]) -> list[str]:
        registered = Counter(record["version"]["upload"] for record in records if record["kind"] == "register")
        problems = [f"upload {upload} is {count} versions" for upload, count in registered.items() if count > 1]
        values = {}
        for upload, (owner, value) in self._stream.uploads.items():
            if owner != model:
                continue
            state = self._get(f"/uploads/{upload}")
            if state["state"] != "registered" or upload not in registered:
                problems.append(f"upload {upload} of {model} is {state['state']}: {state.get('reason')}")
                continue
            values[state["version"]] = value
            answer = self._cloud.api.post(f"/models/{model}/versions/{state['version']}/predict", json=INPUT)
            if answer.status_code != 200 or answer.json()["outputs"] != {"y": [[value]]}:
                problems.append(f"version {state['version']} of {model} answers {answer.text} instead of {value}")
        problems += [
            f"version {version} of {owner} has answered {value}"
            for owner, version, value in self._stream.answers
            if owner == model and values.get(version) != value
        ]
        page = self._cloud.s3.list_objects_v2(Bucket=self._cloud.access["bucket"], Prefix=f"unfinished/{model}/")
        return problems + [f"a marker without an end: {entry['Key']}" for entry in page.get("Contents", [])]

    def _moves(self, model: str, records: list[dict[str, Any]]) -> list[str]:
        moved = [record for record in records if record["kind"] == "alias"]
        times = Counter(record["reason"] for record in moved)
        problems = [
            f"the move {reason!r} of {model} is there {count} times" for reason, count in times.items() if count > 1
        ]
        problems += [
            f"the move {reason!r} of {model} to version {version} is lost"
            for reason, (owner, version) in self._stream.moves.items()
            if owner == model and reason not in times
        ]
        last = [version for owner, version in self._stream.moves.values() if owner == model][-1:]
        aliases = self._get(f"/models/{model}")["aliases"]
        present = [aliases["production"]["version"]] if "production" in aliases else []
        return problems + ([f"{model}@production is {present} instead of {last}"] if last not in ([], present) else [])

    def _jobs(self) -> list[str]:
        client = Client(self._cloud.access["api_url"], self._cloud.access["token"])
        problems = []
        for job in self._stream.jobs:
            state = self._get(f"/batch/{job}")
            if (state["state"], state["done"], state["failed"]) != ("done", ROWS, 0):
                problems.append(
                    f"job {job} is {state['state']}, {state['done']} of {ROWS} inputs done: {state.get('error')}"
                )
                continue
            answers = list(client.read_batch_job_outputs(job))
            values = {answer["index"]: answer["prediction"]["outputs"]["y"][0][0] for answer in answers}
            if len(answers) != ROWS or values != {n: float(n) for n in range(ROWS)}:
                problems.append(f"job {job} has other answers than its inputs: {values}")
        return problems
