"""What the handlers of batch predictions and training do: jobs that go on after the answer. See operations.py."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from api import answers
from api.described import KEY, Answer, Operation, Param, following, limit, ok
from shared import keys

GOING = {200: Answer(answers.BatchState, "At an end."), 202: Answer(answers.BatchState, "Still going on.")}

BATCH = {
    "create": Operation(
        summary="Make a batch job, for files to send or inputs that are there",
        examples={"files": {"files": [{"name": "a.png"}, {"name": "b.png"}], "options": {"top_k": "1"}}},
        answers={
            201: Answer(answers.BatchTicket, "Send the files, then POST to `start_url`."),
            202: Answer(answers.BatchState, "Started, on the inputs beneath `prefix`."),
        },
        headers=(KEY,),
        errors=(409,),
    ),
    "more": Operation(
        summary="Where to send more files of a job",
        examples={"files": {"files": [{"name": "c.png"}]}},
        answers={201: Answer(answers.FileTargets, "Send the files.")},
        errors=(409,),
    ),
    "start": Operation(summary="Start a job, or start again what is left of one", answers=GOING, errors=(409,)),
    "status": Operation(
        summary="How far a job is",
        answers=GOING,
        query=(Param("wait", Annotated[int, Meta(ge=0, le=20)], "seconds to wait for the end, at most", 0),),
    ),
    "failures": Operation(
        summary="Inputs that failed, with their errors, in the inputs' order",
        answers=ok(answers.Failures),
        query=(following(Annotated[str, Meta(pattern=r"^[0-9]{1,6}(\.[0-9]{1,6})?$")]), limit()),
    ),
    "outputs": Operation(
        summary="Where the answers are, in the inputs' order",
        answers=ok(answers.Outputs),
        query=(following(Annotated[int, Meta(ge=0, le=999_999)]), limit()),
    ),
    "cancel": Operation(summary="Stop a job; what is done stays", answers=ok(answers.BatchState), errors=(409,)),
}

TRAINING = {
    "create": Operation(
        summary="Start a training job; its result is pushed as a version of the model",
        about="Needs a deployment with a training queue: without one, the answer is 501.",
        examples={
            "fashion": {"model": "fashion", "data": "fashion-mnist", "arguments": {"epochs": 20, "no-flip": True}},
        },
        answers={202: Answer(answers.TrainingJob, "Follow `status_url`.")},
        errors=(501,),
    ),
    "every": Operation(
        summary="Training jobs of the models that this token may read, newest first",
        answers=ok(answers.TrainingJobs),
        query=(following(Annotated[str, Meta(pattern=f"^{keys.TRAINING}$")]), limit(100, 20)),
    ),
    "status": Operation(
        summary="How far a training job is, with its metrics",
        answers=ok(answers.TrainingJob),
        query=(
            Param("after", Annotated[int, Meta(ge=0, le=1_000_000)], "`next` of the answer before: new rows only", 0),
        ),
    ),
    "cancel": Operation(
        summary="Stop a training job; its last checkpoint stays", answers=ok(answers.TrainingJob), errors=(409,)
    ),
}
