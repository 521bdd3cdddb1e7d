"""Answers with names: dicts as the API gives them, whose usual members can be read as attributes, too."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


class Answer(dict[str, Any]):
    """A member that the answer has not is an AttributeError, which says which there are."""

    @property
    def model(self) -> str:
        return str(self._member("model"))

    def _member(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"this answer has no {name}, but {', '.join(self) or 'nothing'}") from None


class Scored(Answer):
    """A label with its score; of a detected object, with its box: left, top, right, bottom in pixels."""

    @property
    def label(self) -> str:
        return str(self._member("label"))

    @property
    def score(self) -> float:
        return float(self._member("score"))

    @property
    def box(self) -> list[float]:
        return list(self._member("box"))


class Result(Answer):
    """Of one input. Which members there are depends on the model's task."""

    @property
    def predictions(self) -> list[Scored]:
        """Labels, the likeliest first."""
        return [Scored(one) for one in self._member("predictions")]

    @property
    def label(self) -> str:
        """The likeliest label."""
        return self.predictions[0].label

    @property
    def score(self) -> float:
        """Its score."""
        return self.predictions[0].score

    @property
    def objects(self) -> list[Scored]:
        return [Scored(one) for one in self._member("objects")]

    @property
    def entities(self) -> list[Json]:
        """`entity`, `score`, `start`, `end` and `text` of each."""
        return list(self._member("entities"))

    @property
    def segments(self) -> list[Json]:
        """Parts of a sound, with `start` and `end` in seconds."""
        return list(self._member("segments"))

    @property
    def embedding(self) -> list[float]:
        return list(self._member("embedding"))

    @property
    def value(self) -> Any:
        """Of a regression."""
        return self._member("value")

    @property
    def text(self) -> str:
        """Of a model that writes, or hears."""
        return str(self._member("text"))


class Prediction(Result):
    """An answer of /predict: one result, or `results` of a call with several inputs, or a model's `outputs`."""

    @property
    def version(self) -> int:
        return int(self._member("version"))

    @property
    def results(self) -> list[Result]:
        """One per input."""
        return [Result(one) for one in self._member("results")]

    @property
    def outputs(self) -> Json:
        """Of a model without a task: nested lists, by the outputs' names."""
        return dict(self._member("outputs"))

    @property
    def answer_id(self) -> str | None:
        """By which give_labels says what it should have been; None where the answer has no classes."""
        return self.get("answer_id")


class Explanation(Answer):
    """An answer of /explain."""

    @property
    def version(self) -> int:
        return int(self._member("version"))

    @property
    def label(self) -> str:
        return str(self._member("label"))

    @property
    def score(self) -> float:
        return float(self._member("score"))

    @property
    def method(self) -> str:
        return str(self._member("method"))

    @property
    def attributions(self) -> list[Any]:
        """How much each part of the input adds to the score."""
        return list(self._member("attributions"))


class Inference(Answer):
    """An answer of the Open Inference Protocol."""

    @property
    def model(self) -> str:
        return str(self._member("model_name"))

    @property
    def version(self) -> int:
        return int(self._member("model_version"))

    @property
    def outputs(self) -> list[Json]:
        """`name`, `datatype`, `shape` and `data` of each."""
        return list(self._member("outputs"))

    def data(self, name: str | None = None) -> list[Any]:
        """The values of an output, flat. name: may be left out where there is one output only."""
        outputs = self.outputs
        if name is None and len(outputs) == 1:
            return list(outputs[0]["data"])
        for output in outputs:
            if output["name"] == name:
                return list(output["data"])
        raise AttributeError(f"there is no output {name!r}, but {', '.join(str(one['name']) for one in outputs)}")


class Ranking(Answer):
    """An answer of /v1/rerank."""

    @property
    def results(self) -> list[Json]:
        """`index` and `relevance_score`, the best first."""
        return list(self._member("results"))


class Completion(Answer):
    """An answer of a language model."""

    @property
    def text(self) -> str:
        """What the model has written; empty where it calls a tool."""
        choice = self._member("choices")[0]
        return str((choice["message"].get("content") if "message" in choice else choice.get("text")) or "")

    @property
    def finish_reason(self) -> str | None:
        reason = self._member("choices")[0].get("finish_reason")
        return None if reason is None else str(reason)

    @property
    def usage(self) -> Json:
        """Tokens of the prompt and of the answer."""
        return dict(self._member("usage"))
