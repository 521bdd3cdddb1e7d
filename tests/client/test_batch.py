"""`amaas batch`: the batch functions, with their steps run here in the place of the state machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from functions.batch import app
from shared.jobs.batch import job as jobs
from shared.jobs.batch.runs import Execution
from shared.storage.memory import MemoryStore
from tests.client.conftest import Run
from tests.client.gateway import Service
from tests.jobs_batch import world
from tests.registry.conftest import push


class Machine:
    """Runs a job at once, or never. stopped: the jobs that were cancelled."""

    def __init__(self, store: MemoryStore) -> None:
        self.store, self.runs, self.stopped = store, True, list[str]()

    def start(self, job: str, run: int) -> None:
        if self.runs:
            world.run(self.store, jobs.read(self.store, job), number=run)

    def look(self, job: str, run: int) -> Execution:
        return Execution(running=True, status="running")

    def stop(self, job: str, run: int) -> None:
        self.stopped.append(job)


@pytest.fixture
def machine(service: Service, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(service.store)
    monkeypatch.setattr(app, "machine", lambda: machine)
    push(service.log, "m", inputs=world.MANIFEST.inputs)
    return machine


@pytest.fixture
def rows(tmp_path: Path) -> str:
    (tmp_path / "rows.jsonl").write_text('1\n"refused"\n3\n')
    return "rows.jsonl"


@pytest.mark.usefixtures("machine")
def test_a_job_over_a_file(amaas: Run, rows: str, tmp_path: Path) -> None:
    result = amaas("batch", "m", rows, code=1)
    assert "1 of 3 inputs failed, the others are answered; rows.jsonl:2: refused, as asked" in result.stderr
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert [answer.get("prediction", {}).get("echo") for answer in answers] == [1, None, 3]
    assert "is done: 3 of 3 inputs done, 1 failed" in result.stderr
    state = json.loads(amaas("batch", "run", "m@1", rows, "--json", "--out", "out.jsonl", code=1).stdout)
    assert (state["state"], state["done"]) == ("done", 3) and "results" not in state
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 3
    assert "is done" in amaas("batch", "show", state["id"]).stderr
    assert amaas("batch", "outputs", state["id"]).stdout == (tmp_path / "out.jsonl").read_text()
    listed = amaas("batch", "failures", state["id"]).stdout
    assert "rows.jsonl:2" in listed and "refused, as asked" in listed
    assert len(json.loads(amaas("batch", "failures", state["id"], "--json").stdout)) == 1


@pytest.mark.usefixtures("machine")
def test_what_is_between_fields_is_said(amaas: Run, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a;b\n1,5;2\n")
    answer = json.loads(amaas("batch", "m", "rows.csv", "--delimiter", "semicolon", "--decimal", ",").stdout)
    assert answer["prediction"]["echo"] == {"inputs": {"x": [[1.5, 2]]}}
    for said, words in (
        (("--delimiter", "x"), "say one of comma, semicolon, tab, pipe"),
        (("--decimal", ","), "comma"),
    ):
        assert words in amaas("batch", "m", "rows.csv", *said, code=1).stderr


@pytest.mark.usefixtures("machine")
def test_a_folder_of_inputs(amaas: Run, tmp_path: Path) -> None:
    (tmp_path / "inputs" / "below").mkdir(parents=True)
    (tmp_path / "inputs" / "a.json").write_text("1")
    (tmp_path / "inputs" / "below" / "b.json").write_text("2")
    answers = [json.loads(line) for line in amaas("batch", "m", "inputs").stdout.splitlines()]
    assert [(answer["input"], answer["prediction"]["echo"]) for answer in answers] == [
        ("a.json", 1),
        ("below/b.json", 2),
    ]
    (tmp_path / "empty").mkdir()
    assert "empty contains no files" in amaas("batch", "m", "empty", code=1).stderr


@pytest.mark.usefixtures("machine")
def test_what_a_folder_has_besides_inputs(amaas: Run, service: Service, tmp_path: Path) -> None:
    (tmp_path / "inputs" / ".git").mkdir(parents=True)
    for name in (".git/HEAD", ".DS_Store", "a.json"):
        (tmp_path / "inputs" / name).write_text("1")
    rows = amaas("batch", "m", "inputs").stdout.splitlines()
    assert [json.loads(row)["input"] for row in rows] == ["a.json"]


def test_outputs_that_have_no_place_are_told_before_the_job(amaas: Run, service: Service, rows: str) -> None:
    told = amaas("batch", "m", rows, "--out", "nowhere/out.jsonl", code=2).stderr
    assert "there is no folder 'nowhere' to write it to: make it first" in told and not service.calls


@pytest.mark.usefixtures("machine")
def test_a_job_without_any_answer_fails(amaas: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('"refused"\n')
    assert (
        "none of the inputs could be answered; bad.jsonl:1: refused" in amaas("batch", "m", "bad.jsonl", code=1).stderr
    )


def test_a_job_is_cancelled_and_resumed(amaas: Run, machine: Machine, rows: str) -> None:
    machine.runs = False
    state = json.loads(amaas("batch", "m", rows, "--no-wait", "--json").stdout)
    assert "is cancelled" in amaas("batch", "cancel", state["id"]).stderr
    assert machine.stopped == [state["id"]]
    machine.runs = True
    assert "is done: 3 of 3" in amaas("batch", "resume", state["id"], code=1).stderr
    older = amaas(
        "batch", "m", "--resume", state["id"], "--out", "out.jsonl", code=1
    )  # as it was before there were verbs
    assert "is done: 3 of 3" in older.stderr


def test_jobs_are_listed(amaas: Run, machine: Machine, rows: str) -> None:
    assert "no batch jobs" in amaas("batch", "ls").stdout
    first, second = (json.loads(amaas("batch", "m", rows, "--no-wait", "--json").stdout)["id"] for _ in range(2))
    listed = amaas("batch", "list").stdout
    assert listed.index(second) < listed.index(first) and "3 of 3" in listed and "done" in listed
    assert [job["id"] for job in json.loads(amaas("batch", "ls", "m", "--json").stdout)] == [second, first]
    assert json.loads(amaas("batch", "ls", "another", "--json").stdout) == []


def test_a_job_that_is_right_ends_well(amaas: Run, machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "right.jsonl").write_text("1\n2\n")
    assert "2 of 2 inputs done, 0 failed" in amaas("batch", "m", "right.jsonl").stderr


def created(stderr: str) -> str:
    """The id in the first line."""
    return stderr.split("job ")[1].split()[0]


def test_the_id_comes_first(amaas: Run, machine: Machine, rows: str) -> None:
    result = amaas("batch", "m", rows, code=1)
    job = created(result.stderr)
    assert jobs.exists(machine.store, job)
    assert result.stderr.splitlines()[0] == f"amaas: job {job} is created: `amaas batch follow {job}` follows it"
    assert job not in result.stdout
    assert amaas("batch", "m", rows, "--json", "--no-wait").stderr == ""


def interrupted(*arguments: object, **options: object) -> None:
    raise KeyboardInterrupt


def test_ctrl_c_says_how_to_go_on(amaas: Run, machine: Machine, rows: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("amaas.client.Client.get_batch_job", interrupted)
        stopped = amaas("batch", "m", rows, "--out", "an answer.jsonl", code=130)
    job = created(stopped.stderr)
    follow = f"amaas batch follow {job} --out 'an answer.jsonl'"
    assert stopped.stderr.splitlines()[1:] == [
        f"amaas: the job goes on: `{follow}` follows it, `amaas batch cancel {job}` stops it"
    ]
    followed = amaas("batch", "follow", job, "--out", "an answer.jsonl", code=1)
    assert "1 of 3 inputs failed" in followed.stderr
    assert len(Path("an answer.jsonl").read_text().splitlines()) == 3


def test_ctrl_c_while_inputs_are_sent(amaas: Run, machine: Machine, rows: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("amaas.api.transfer.send", interrupted)
    stopped = amaas("batch", "m", rows, code=130).stderr
    job = created(stopped)
    assert stopped.splitlines()[-1] == (
        f"amaas: nothing was started: job {job} waits for its inputs, `amaas batch rm {job}` removes it"
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is of Linux")
@pytest.mark.usefixtures("machine")
def test_a_full_disk_says_how_to_get_the_answers(amaas: Run, rows: str) -> None:
    told = amaas("batch", "m", rows, "--out", "/dev/full", code=1).stderr
    job = created(told)
    assert told.splitlines()[-1] == (
        "amaas: /dev/full is not whole (No space left on device): "
        f"`amaas batch outputs {job} --out FILE` writes all of it"
    )
    assert len(amaas("batch", "outputs", job).stdout.splitlines()) == 3
