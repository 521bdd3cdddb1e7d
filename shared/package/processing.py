"""What a package declares to happen before and after the model: data, never code, one struct per kind.

`preprocess` is an Image, Text, Audio, Table, Prompt or Speech; `postprocess` is Scores, Boxes, Entities, a Vector,
Entailment, Similarity, Generation or Transcription. Their member `kind` says which; if omitted, it is the first that
the task allows. shared/serving does what is written here.
"""

# annotations are not kept as text: msgspec would take 2 ms of each cold start to read them

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from shared.errors import BadInput
from shared.package.fields import FileName, Fraction, Length, Positive, Size
from shared.package.generation import Generation, Prompt
from shared.package.speech import Speech, Transcription
from shared.package.table import Table, input_of
from shared.package.tasks import TASKS, TENSOR


class Image(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="image"):
    """How an image becomes a tensor: shorter → size → crop, then value = (pixel * scale - mean) / std per channel.

    shorter: pixels of the shorter side after a first resizing that keeps the aspect. size: [height, width]; omitted,
    what the model's input says. resize: `stretch` ignores the aspect; `crop` fills size and cuts the center; `pad` fits
    into size with `fill` around it, `corner` with `fill` to the right and below. crop: [height, width] of the center,
    cut last. shorter 256 and crop [224, 224] are torchvision's Resize(256), CenterCrop(224).
    """

    mode: Literal["RGB", "L", "BGR"] = "RGB"
    shorter: Positive | None = None
    size: Size | None = None
    resize: Literal["stretch", "crop", "pad", "corner"] = "stretch"
    crop: Size | None = None
    fill: Annotated[int, Meta(ge=0, le=255)] = 0
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos"] = "bilinear"
    scale: float = 1 / 255
    mean: Annotated[list[float], Meta(min_length=1, max_length=4)] = field(default_factory=lambda: [0.0])
    std: Annotated[list[float], Meta(min_length=1, max_length=4)] = field(default_factory=lambda: [1.0])
    layout: Literal["NCHW", "NHWC"] = "NCHW"


class Text(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="text"):
    """How text becomes token ids. tokenizer: a file of the package in the form of Hugging Face's `tokenizers`.

    Without a tokenizer the model takes the text itself. The tokenizer cuts and pads as its file says (truncation,
    padding), but for what is said here. max_length: tokens, the special ones included; what is longer is cut.
    padding: to the longest text of a call, or to max_length; of a file that does not pad, "longest". prefix: put
    before each text, as in "passage: "; query_prefix: in its place before the query of /v1/rerank, for embedding
    models that have one for queries.
    """

    tokenizer: FileName | None = None
    max_length: Length | None = None
    # absent in what is stored, where a package has none: the last release takes it for "longest"
    padding: Literal["longest", "max_length"] | UnsetType = UNSET
    prefix: Annotated[str, Meta(max_length=1000)] = ""
    # absent in what is stored, where a package has none: the last release can read that
    query_prefix: Annotated[str, Meta(max_length=1000)] | UnsetType = UNSET
    ids: str = "input_ids"
    mask: str = "attention_mask"
    types: str = "token_type_ids"


class Audio(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="audio"):
    """How sound becomes a tensor: to one channel, resampled, cut or padded, then the waveform or its spectrogram.

    sample_rate: in Hz. seconds: length of what the model hears at once; shorter sound is padded with zeros, longer
    is cut, or gone through in steps of `hop` seconds. n_fft, win_length, hop_length: in samples, with a periodic Hann
    window; center: frames are centered on their time, with `pad_mode` beyond the ends. power: 1 amplitude, 2 energy.
    n_mels, f_min, f_max (Hz), scale, norm: the mel filters, as in librosa. log: of max(x, floor); `db` is 10 log10, no
    more than top_db below the loudest. layout: of the last two axes; what else the model's input has, is 1.
    """

    sample_rate: Annotated[int, Meta(ge=1000, le=192_000)] = 16_000
    seconds: Annotated[float, Meta(gt=0, le=600)] | None = None
    hop: Annotated[float, Meta(gt=0, le=600)] | None = None
    features: Literal["waveform", "spectrogram", "mel"] = "waveform"
    n_fft: Annotated[int, Meta(ge=16, le=16384)] = 400
    win_length: Annotated[int, Meta(ge=16, le=16384)] | None = None
    hop_length: Annotated[int, Meta(ge=1, le=16384)] = 160
    center: bool = True
    pad_mode: Literal["reflect", "constant"] = "reflect"
    power: Literal[1, 2] = 2
    n_mels: Annotated[int, Meta(ge=1, le=1024)] = 80
    f_min: Annotated[float, Meta(ge=0)] = 0.0
    f_max: Annotated[float, Meta(gt=0)] | None = None
    scale: Literal["slaney", "htk"] = "slaney"
    norm: Literal["slaney", "none"] = "slaney"
    log: Literal["none", "ln", "log10", "db"] = "none"
    floor: Annotated[float, Meta(gt=0)] = 1e-10
    top_db: Annotated[float, Meta(gt=0)] | None = None
    mean: float = 0.0
    std: float = 1.0
    layout: Literal["mel_time", "time_mel"] = "mel_time"


class Scores(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="scores"):
    """One score per class: the best top_k with at least `threshold`. output: where they are; omitted, the first.

    activation: what makes scores of the model's numbers; omitted, softmax, but none for tables, whose models have it.
    Of a single score, softmax would make 1 of any number: it is sigmoid then.

    maps: an output with a map per class, [N, classes, h, w], for explanations.
    """

    activation: Literal["softmax", "sigmoid", "none"] | None = None
    top_k: Positive = 5
    threshold: float | None = None
    output: str | None = None
    maps: str | None = None


class Boxes(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="boxes"):
    """Where things are: of a detector's raw output, or of one that gives boxes, scores and classes by themselves.

    boxes: the output with four numbers per box, in `form` and `units`; `scores`: the output with a score per class or
    one per box, then `classes` is the output with their numbers. Without `scores`, the scores follow the four numbers
    in `boxes`, after an objectness where `objectness` says so, as YOLO has them. transposed: [values, boxes].
    background: the class that means nothing. iou: boxes of the same class that overlap more are one.
    """

    boxes: str | None = None
    scores: str | None = None
    classes: str | None = None
    form: Literal["xyxy", "xywh", "cxcywh"] = "xyxy"
    units: Literal["pixels", "relative"] = "pixels"
    transposed: bool = False
    objectness: bool = False
    activation: Literal["softmax", "sigmoid", "none"] = "none"
    background: int | None = None
    threshold: Fraction = 0.25
    iou: Fraction | None = 0.45
    top_k: Positive = 100


class Entities(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="entities"):
    """A label per token. group: tokens of one thing together (labels B-X, I-X or plain X), or each by itself."""

    group: bool = True
    ignore: list[str] = field(default_factory=lambda: ["O"])
    threshold: Fraction = 0.0
    output: str | None = None


class Vector(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="vector"):
    """An embedding. pooling: over the tokens of an output [texts, tokens, width]; one without tokens needs none.

    normalize: to length 1. dimensions: so many of the first are kept, before normalizing, as Matryoshka models allow.
    """

    pooling: Literal["mean", "max", "first", "last"] = "mean"
    normalize: bool = True
    dimensions: Positive | None = None
    output: str | None = None


class Entailment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="entailment"):
    """Labels that are told apart by inference: does the text, the premise, entail the sentence that a label makes?

    template: that sentence, with {} for the label. entailment, contradiction: places of these classes in the model's
    output, which has logits; as in `id2label` of its config.json. contradiction is for models of three classes and
    more; of two, it is the other one. multi_label: each label is scored by itself, entailment against contradiction,
    instead of all of them against each other. top_k, threshold: as in Scores.
    """

    entailment: Annotated[int, Meta(ge=0, le=999)]
    contradiction: Annotated[int, Meta(ge=0, le=999)] | None = None
    template: Annotated[str, Meta(pattern=r"\{\}", max_length=1000)] = "This example is {}."
    multi_label: bool = False
    top_k: Positive = 100
    threshold: float | None = None
    output: str | None = None


class Similarity(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="similarity"):
    """Labels that are told apart by how near an image is to the sentence that each makes: a model with two towers.

    text: how these sentences become tokens; the image is made as `preprocess` says. output: logits [images, sentences];
    omitted, logits_per_image. template, top_k, threshold: as in Entailment. multi_label: each label is scored by itself
    (sigmoid, as SigLIP was trained), instead of all of them against each other (softmax, as CLIP was).
    """

    text: Text
    template: Annotated[str, Meta(pattern=r"\{\}", max_length=1000)] = "This is a photo of {}."
    multi_label: bool = False
    top_k: Positive = 100
    threshold: float | None = None
    output: str = "logits_per_image"


Before = Image | Text | Audio | Table | Prompt | Speech
After = Scores | Boxes | Entities | Vector | Entailment | Similarity | Generation | Transcription


def fill_kinds(described: Any) -> Any:
    """A decoded amaas.json with the kinds filled in that its task implies. Raises BadInput for one that cannot be.

    A task that this release does not have is left as it is: a stored manifest may be of another release.
    """
    name = described.get("task", TENSOR) if isinstance(described, dict) else None
    task = TASKS.get(name) if isinstance(name, str) else None  # the schema refuses whatever is no text
    if task is None:
        return described
    filled = dict(described)
    for member, allowed in (("preprocess", task.preprocess), ("postprocess", task.postprocess)):
        declaration = described.get(member)
        if isinstance(declaration, dict):
            if not allowed:
                raise BadInput(f"amaas.json: the task {name!r} has no {member}: omit it")
            kind = declaration.get("kind", allowed[0])
            if kind not in allowed:
                raise BadInput(
                    f"amaas.json: the task {name!r} has no {member} of kind {kind!r}, it has {' or '.join(allowed)}"
                )
            filled[member] = {**declaration, "kind": kind}
    return filled


def text_plan(before: Before | None, after: After | None) -> Text | None:
    """How texts become tokens, those of callers or those that labels make; None where there are none."""
    if isinstance(after, Similarity):
        return after.text
    return before if isinstance(before, Text) else None


def files(before: Before | None, after: After | None) -> list[str]:
    """The files of the package that serving needs."""
    if isinstance(before, Speech):
        return [before.tokenizer]
    if isinstance(before, Prompt):
        return [name for name in (before.tokenizer, before.template) if name]
    plan = text_plan(before, after)
    if plan is not None:
        return [plan.tokenizer] if plan.tokenizer else []
    if isinstance(before, Table):
        return [before.reference] if before.reference else []
    return []


def check_names(before: Before | None, after: After | None, inputs: list[str], outputs: list[str]) -> None:
    """Raises BadInput when a plan names an input or an output that the model lacks."""
    for output in _output_names(after):
        if output not in outputs:
            raise BadInput(f"amaas.json: postprocess names the output {output!r}, the model has {outputs}")
    if not isinstance(before, Table):
        return
    fed_inputs = {input_of(column, inputs) for column in before.columns}
    unfed = [name for name in inputs if name not in fed_inputs]
    if unfed:
        raise BadInput(f"amaas.json: no column of preprocess goes to the model's inputs {unfed}")


def _output_names(after: After | None) -> list[str]:
    if isinstance(after, Boxes):
        names = [after.boxes, after.scores, after.classes]
    elif isinstance(after, Generation | Transcription):
        names = []
    else:
        names = [after.output if after else None, after.maps if isinstance(after, Scores) else None]
    return [name for name in names if name is not None]
