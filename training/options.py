"""All settings of training.train, by concern: the one table from which command line, recipe and checkpoints take them.

The service and the client refuse the options that a job sets itself (`by_job`); a test holds their lists to this table.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from training.arguments import COUNT, REQUIRED, SHARE, flag, number, option, options

KindName = Literal["image", "text", "audio", "table"]
Reference = Literal["none", "made up", "training rows"]
Outliers = Literal["off", "report", "drop"]
KINDS: tuple[KindName, ...] = get_args(KindName)
CACHE = Path.home() / ".cache" / "amaas"
ARCHITECTURE = ("widths", "embedding", "hidden", "layers", "heads", "buckets", "longest", "dropout")  # of networks
OPTIMIZERS = {"sgd": (0.05, 5e-4), "adamw": (0.001, 0.05)}  # with their default learning rate and weight decay
SCHEDULES = {"cosine": 0.1, "one-cycle": 0.3}  # with the default share of warm-up steps
IMAGES, TEXTS, SOUNDS, TABLES = (
    {"title": title, "kind": kind}
    for title, kind in (("images", "image"), ("texts", "text"), ("sound", "audio"), ("tables", "table"))
)


@dataclass(frozen=True, kw_only=True)
class Data:
    """What is learned from, and how its files are read. size: (height, width)."""

    data: str = option(
        REQUIRED, "a data set by name, a folder, file or s3://BUCKET/PATH: see the README", by_job=True, identity=False
    )
    task: KindName | None = option(None, "the kind of data, where the files do not show it", choices=KINDS)
    target: str | None = option(None, "column with the classes (default: label; of a table, the last)")
    text: str | None = option(None, "column with the texts (default: text)", kind="text", noted=True)
    group: str | None = option(None, "column of the group, as a patient, whose rows must stay in one split")
    delimiter: str | None = option(None, "of CSV files: comma, semicolon, tab or pipe (default: as their names have)")
    decimal: str | None = option(None, "sign before fractions in CSV files: . or , (default: .)", kind="table")
    root: Path = option(CACHE, "cache of downloaded data sets (%(default)s)", Path, by_job=True, identity=False)
    outliers: Outliers = option(
        "off", "training items with doubtful labels: %(choices)s (%(default)s)", choices=("off", "report", "drop")
    )
    near: bool = flag("detect near duplicates too; those of validation and test items are dropped")
    size: tuple[int, int] | None = option(
        None, "resize images to this size", COUNT, nargs=2, metavar=("HEIGHT", "WIDTH"), **IMAGES
    )
    rate: int | None = option(
        None, "sample rate in Hz (default: that of most files)", number(int, 1000, 192_001), noted=True, **SOUNDS
    )

    def reading(self) -> dict[str, Any]:
        """What was chosen of how files are read: without it, the same splits would not come again."""
        names = ("task", "size", "text", "target", "group", "rate", "delimiter", "decimal", "near", "outliers")
        defaults = {name: default for name, _, default in options(type(self))}
        return {name: getattr(self, name) for name in names if getattr(self, name) != defaults[name]}


@dataclass(frozen=True, kw_only=True)
class Output:
    """The package, and what its card says that cannot be measured. price: of an hour of this machine."""

    out: Path = option(REQUIRED, "output folder of the package", Path, by_job=True, identity=False)
    name: str | None = option(None, "name of the model (default: the data set's)", by_job=True, identity=False)
    licence: str | None = option(None, "license of the model (default: the data set's)", identity=False)
    intended_use: str | None = option(
        None, "for the model card: what the model is meant for, and what it is not", identity=False
    )
    price: float | None = option(
        None, "price of one hour of this machine, for the model card", number(float, 0), title="machine", identity=False
    )


@dataclass(frozen=True, kw_only=True)
class Network:
    """model: None for the default of the kind of data. pretrained: a file; "" for torchvision's download."""

    model: str | None = option(
        None, "a built-in network (defaults: cnn, transformer, audio-cnn, mlp), torchvision:NAME, or your MODULE:CLASS"
    )
    widths: tuple[int, ...] | None = option(
        None, "channels per stage: 2 of cnn, 3 of quick-cnn, 4 of the other CNNs", COUNT, nargs="+"
    )
    embedding: int | None = option(None, "embedding dimension of text networks (64)", COUNT)
    hidden: int | None = option(
        None, "hidden width: of cnn's first linear layer (1024), gru and lstm (96), mlp (64)", COUNT
    )
    layers: int | None = option(None, "number of layers of transformer and mlp (2)", COUNT)
    heads: int | None = option(None, "attention heads of transformer (4)", COUNT)
    buckets: int | None = option(None, "rows of the table of ngrams (16384)", COUNT)
    longest: int | None = option(None, "tokens of the longest run of ngrams (4)", COUNT)
    dropout: float | None = option(None, "dropout rate while training", SHARE)
    pretrained: str | None = option(
        None, "start from torchvision's weights: a file, or these", nargs="?", const="", metavar="FILE", kind="image"
    )

    def architecture(self) -> dict[str, Any]:
        """The options that a built-in network may take."""
        return {name: getattr(self, name) for name in ARCHITECTURE}


@dataclass(frozen=True, kw_only=True)
class Distillation:
    """teacher: a package folder, or MODEL[@VERSION] of a running service; None trains on the labels alone."""

    teacher: str | None = option(
        None, "also learn from this model's answers: a package folder, or MODEL[@VERSION]", metavar="PACKAGE"
    )
    teacher_share: float = option(0.7, "weight of the teacher in the loss (%(default)s)", SHARE)
    temperature: float = option(4.0, "softmax temperature of both networks (%(default)s)", number(float, 0.1))


@dataclass(frozen=True, kw_only=True)
class Optimization:
    """batch: items per step. lr, weight_decay, warmup: settings.py fills in what belongs to optimizer and schedule."""

    epochs: int = option(10, "passes over the training set (%(default)s)", COUNT)
    batch: int = option(64, "items per step (%(default)s)", COUNT)
    optimizer: str = option("sgd", "%(choices)s (%(default)s)", choices=tuple(OPTIMIZERS))
    lr: float = option(None, "peak learning rate (default: sgd 0.05, adamw 0.001)", number(float, 1e-9))
    momentum: float = option(0.9, "momentum of SGD (Nesterov), first beta of AdamW (%(default)s)", SHARE)
    weight_decay: float = option(None, "weight decay (default: sgd 0.0005, adamw 0.05)", number(float, 0))
    schedule: str = option(
        "cosine", "learning-rate schedule: %(choices)s (%(default)s)", choices=tuple(SCHEDULES), noted=True
    )
    warmup: float = option(None, "share of warm-up steps (default: cosine 0.1, one-cycle 0.3)", SHARE, noted=True)
    label_smoothing: float = option(0.0, "label smoothing (%(default)s)", SHARE, noted=True)
    clip: float = option(0.0, "maximum norm of the gradient; 0: none (%(default)s)", number(float, 0), noted=True)
    ema: float = option(
        0.0, "decay of an exponential moving average of the weights, as 0.999; 0: none (%(default)s)", SHARE, noted=True
    )
    patience: int = option(
        0, "early stopping after this many epochs without progress; 0: never", number(int, 0), noted=True
    )


@dataclass(frozen=True, kw_only=True)
class Privacy:
    """Differentially private training; epsilon None trains without."""

    epsilon: float | None = option(
        None, "privacy budget epsilon per training item (requires --clip)", number(float, 0.01)
    )
    delta: float | None = option(
        None, "privacy budget delta (default: 1 / (10 * training items))", number(float, 1e-12, 1)
    )


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """How items become inputs of a network, as far as it is not computed from the training split.

    seconds: of a sound. imagenet: normalize colors as torchvision's weights were trained. reference: what rows a
    table's package gets, to explain predictions with; seed: chooses them.
    """

    max_length: int = option(
        128, "maximum number of tokens of a text (%(default)s)", number(int, 2, 16385), noted=True, **TEXTS
    )
    vocabulary: int = option(
        4096, "maximum vocabulary size of the tokenizer (%(default)s)", number(int, 300), noted=True, **TEXTS
    )
    cased: bool = flag("keep upper and lower case apart", noted=True, **TEXTS)
    characters: bool = flag("take characters for tokens, not pieces of words", noted=True, **TEXTS)
    seconds: float | None = option(
        None,
        "clip length in seconds (default: 95th percentile of the data)",
        number(float, 0.05, 601),
        noted=True,
        **SOUNDS,
    )
    reference_rows: bool = flag(
        "explain predictions against rows of the data, in the package, not made-up ones", noted=True, **TABLES
    )
    no_reference_rows: bool = flag("neither: the service then cannot explain predictions", noted=True, **TABLES)
    imagenet: bool = False
    reference: Reference = "made up"
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Random changes of the training items. shift, erase: pixels. time_mask: frames. noise: standard deviations."""

    mixup: float = option(
        0.0,
        "mixup of pairs of items: alpha, as 0.2; 0: none (%(default)s)",
        number(float, 0),
        noted=True,
        title="optimization",
    )
    shift: int = option(2, "random shift in pixels (%(default)s)", number(int, 0), **IMAGES)
    no_flip: bool = flag("no horizontal flip (digits, letters)", **IMAGES)
    erase: int = option(0, "side of a random erased square in pixels (%(default)s)", number(int, 0), **IMAGES)
    crop: float = option(0.0, "random crop of up to this share of each side (%(default)s)", SHARE, noted=True, **IMAGES)
    rotate: float = option(
        0.0, "random rotation of up to this many degrees (%(default)s)", number(float, 0, 180), noted=True, **IMAGES
    )
    cutmix: float = option(
        0.0, "CutMix of pairs of images: alpha, as 1; 0: none (%(default)s)", number(float, 0), noted=True, **IMAGES
    )
    randaugment: tuple[int, int] | None = option(
        None,
        "RandAugment, as 2 9",
        number(int, 1, 31),
        nargs=2,
        metavar=("OPERATIONS", "MAGNITUDE"),
        noted=True,
        **IMAGES,
    )
    token_dropout: float = option(
        0.0, "share of tokens replaced by the unknown token (%(default)s)", SHARE, noted=True, **TEXTS
    )
    time_shift: float = option(
        0.0, "random shift in seconds, either way (%(default)s)", number(float, 0), noted=True, **SOUNDS
    )
    frequency_mask: int = option(
        0, "SpecAugment: maximum width of a mask in mel bands (%(default)s)", number(int, 0), noted=True, **SOUNDS
    )
    time_mask: int = option(
        0, "SpecAugment: maximum width of a mask in frames (%(default)s)", number(int, 0), noted=True, **SOUNDS
    )
    noise: float = option(
        0.0,
        "Gaussian noise on each number, in standard deviations (%(default)s)",
        number(float, 0),
        noted=True,
        **TABLES,
    )


@dataclass(frozen=True, kw_only=True)
class Machine:
    """device: settings.py fills in what there is. compile: a backend of torch.compile."""

    device: str = option(None, "cpu, cuda, … (default: cuda where there is one)")
    bf16: bool = flag(
        "matrix products in bfloat16; this and the next two are used where they make steps faster", noted=True
    )
    channels_last: bool = flag("NHWC memory layout of images and convolutions", noted=True)
    compile: str | None = option(
        None,
        "torch.compile, with inductor or another backend",
        nargs="?",
        const="inductor",
        metavar="BACKEND",
        noted=True,
    )
    measure: bool = option(
        True, "--no-measure uses these three even where steps get slower", yes_or_no=True, identity=False
    )
    deterministic: bool = flag("only deterministic operations; an error where there is none", noted=True)
    seed: int = option(0, "seed of splits, initial weights, order and augmentation (%(default)s)", number(int, 0))
    quiet: bool = flag("no progress bar", by_job=True, identity=False)


@dataclass(frozen=True, kw_only=True)
class Checkpointing:
    """checkpoint: settings.py fills in OUT/checkpoint. resume: None continues where there is a checkpoint."""

    checkpoint: Path = option(
        None, "folder of the checkpoints (OUT/checkpoint)", Path, metavar="FOLDER", by_job=True, identity=False
    )
    checkpoint_minutes: float = option(
        5, "minutes between checkpoints, beside those after each epoch (5)", number(float, 0), identity=False
    )
    resume: bool | None = option(
        None,
        "fail unless there is a checkpoint; --no-resume removes it and starts anew",
        yes_or_no=True,
        by_job=True,
        identity=False,
    )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A run's settings, each in its group."""

    data: Data
    output: Output
    network: Network
    distillation: Distillation
    optimization: Optimization
    privacy: Privacy
    preparation: Preparation
    augmentation: Augmentation
    machine: Machine
    checkpointing: Checkpointing

    def values(self) -> dict[str, Any]:
        """The value of every option by its name, as `weight_decay`."""
        groups = [getattr(self, group.name) for group in fields(self)]
        return {name: getattr(group, name) for group in groups for name, _, _ in options(type(group))}


GROUPS: dict[str, type] = get_type_hints(Settings)
