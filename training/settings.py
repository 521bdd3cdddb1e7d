"""The command line of training.train: read, checked before any work, and what the recipe notes of it."""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from training.arguments import add_options, options, parsed, spelled
from training.data.source import printable
from training.errors import TrainingError
from training.networks import find as networks
from training.options import GROUPS, OPTIMIZERS, SCHEDULES, Augmentation, Reference, Settings

MIXED = ("image", "audio", "table")  # tokens cannot be mixed
TITLES = (  # of --help, in this order
    "data and package",
    "network",
    "optimization",
    "images",
    "texts",
    "sound",
    "tables",
    "machine",
    "interruption",
)
TITLE_OF = {  # of a group's options that name no other
    "data": "data and package",
    "output": "data and package",
    "network": "network",
    "distillation": "network",
    "optimization": "optimization",
    "privacy": "optimization",
    "preparation": "texts",
    "augmentation": "images",
    "machine": "machine",
    "checkpointing": "interruption",
}


def parser(about: str | None) -> argparse.ArgumentParser:
    # an option has one name: who starts a training looks at some of them before (shared/jobs/training/request.py)
    command_line = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    for title in TITLES:
        command_line.add_argument_group(title)
    for name, group in GROUPS.items():
        add_options(command_line, TITLE_OF[name], group)
    return command_line


def settings(arguments: list[str] | None, about: str | None = None) -> Settings:
    """The parsed command line, with the defaults that depend on another setting filled in."""
    namespace = parser(about).parse_args(arguments)
    chosen = Settings(**{name: parsed(group, namespace) for name, group in GROUPS.items()})
    optimization, machine, checkpointing = chosen.optimization, chosen.machine, chosen.checkpointing
    lr, weight_decay = OPTIMIZERS[optimization.optimizer]
    return replace(
        chosen,
        optimization=replace(
            optimization,
            lr=lr if optimization.lr is None else optimization.lr,
            weight_decay=weight_decay if optimization.weight_decay is None else optimization.weight_decay,
            warmup=SCHEDULES[optimization.schedule] if optimization.warmup is None else optimization.warmup,
        ),
        preparation=replace(
            chosen.preparation,
            reference=_reference(chosen),
            imagenet=chosen.network.pretrained is not None,
            seed=machine.seed,
        ),
        machine=replace(machine, device=machine.device or ("cuda" if torch.cuda.is_available() else "cpu")),
        checkpointing=replace(checkpointing, checkpoint=checkpointing.checkpoint or chosen.output.out / "checkpoint"),
    )


def _reference(chosen: Settings) -> Reference:
    """What rows a table's package gets. What private training does not disclose, quantiles of the data would."""
    if chosen.preparation.no_reference_rows or chosen.privacy.epsilon:
        return "none"
    return "training rows" if chosen.preparation.reference_rows else "made up"


def check(chosen: Settings) -> str:
    """The model's name. Raises TrainingError for settings that would only fail after minutes of work."""
    if chosen.preparation.reference_rows and chosen.preparation.reference == "none":
        raise TrainingError("--reference-rows discloses rows, and --no-reference-rows and --epsilon do not: omit one")
    for option, folder in (("--out", chosen.output.out), ("--checkpoint", chosen.checkpointing.checkpoint)):
        _check_folder(option, folder)
    _check_machine(chosen.machine.device, chosen.machine.compile)
    if chosen.network.model:
        networks.find(chosen.network.model, chosen.network.architecture(), chosen.network.pretrained)
    return _model_name(chosen.output.name, chosen.data.data)


def _check_folder(option: str, folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise TrainingError(f"{option} {folder} is a file: give a folder")
    if (shown := printable(str(folder))) != str(folder):
        raise TrainingError(f"{option} {shown} is not UTF-8, and could not be written at the end: give another folder")
    if folder.parts[:1] == ("s3:",):
        raise TrainingError(f"{option} is a folder of this machine: `amaas push` and training jobs send to a bucket")


def _check_machine(device: str, backend: str | None) -> None:
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise TrainingError(f"the device {device!r} cannot be used ({reason}): try --device cpu") from error
    if backend and backend not in (known := torch.compiler.list_backends(exclude_tags=())):
        raise TrainingError(f"--compile {backend}: there is no such backend, use {', '.join(known)}")


def _model_name(name: str | None, data: str) -> str:
    """The name, or one derived from the data set's."""
    derived = re.sub(r"[^A-Za-z0-9._-]+|\.\.+", "-", Path(data).resolve().name).strip("-._")[:100]
    chosen = derived if name is None else name
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", chosen) or ".." in chosen:
        raise TrainingError(
            f"{chosen!r} is not a model name: give a --name of letters, digits, '.', '_' and '-', 100 at most"
        )
    return chosen


def fitted(chosen: Settings, kind: str) -> Settings:
    """With what depends on the kind of data filled in. Raises TrainingError for options of another kind."""
    values = chosen.values()
    for name, option, default in options(*GROUPS.values()):
        if option.kind not in (None, kind) and values[name] != default:
            raise TrainingError(f"{spelled(name)} is for data of the kind {option.kind}, not {kind}: omit it")
    if chosen.augmentation.mixup and kind not in MIXED:
        raise TrainingError(f"--mixup mixes numbers, and {kind} has none: omit it")
    model = chosen.network.model or networks.DEFAULT[kind]
    networks.check_kind(model, kind)
    return replace(chosen, network=replace(chosen.network, model=model))


def augmentation(noted: dict[str, Any]) -> Augmentation:
    """These changes of the data, as a recipe notes them, and no others."""
    changes = {"no_flip" if name == "flip" else name: value for name, value in noted.items()}
    if "no_flip" in changes:
        changes["no_flip"] = not changes["no_flip"]
    return Augmentation(**{"shift": 0, "no_flip": True} | changes)


def recipe(chosen: Settings, network: dict[str, Any], kind: str) -> dict[str, Any]:
    """What the model card and the lineage say of how it was trained. network: as networks.find describes it."""
    optimization, augmented, distillation = chosen.optimization, chosen.augmentation, chosen.distillation
    images = {"shift": augmented.shift, "flip": not augmented.no_flip, "erase": augmented.erase}
    teacher = {"temperature": distillation.temperature, "teacher_share": distillation.teacher_share}
    return {
        **network,
        "optimizer": {"sgd": "SGD", "adamw": "AdamW"}[optimization.optimizer],
        **{name: getattr(optimization, name) for name in ("epochs", "batch", "lr", "momentum", "weight_decay")},
        **(images if kind == "image" else {}),
        "seed": chosen.machine.seed,
        "torch": torch.__version__.split("+")[0],
        **(teacher if distillation.teacher else {}),
        **_unusual(chosen, kind),
    }


def _unusual(chosen: Settings, kind: str) -> dict[str, Any]:
    """The noted options that are not at their defaults."""
    values = chosen.values()
    defaults = {
        name: default
        for name, option, default in options(*GROUPS.values())
        if option.noted and option.kind in (None, kind)
    } | {"warmup": SCHEDULES["cosine"]}
    unusual = {name: values[name] for name, default in defaults.items() if values[name] != default}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in unusual.items()}
