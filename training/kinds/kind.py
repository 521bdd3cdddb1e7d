"""What a kind of data is: the protocol that images, texts, sounds and tables have in common."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch

from training.options import Augmentation, KindName

Inputs = dict[str, torch.Tensor]  # a network's inputs by name, in its order; the first axis is the items


class Kind(Protocol):
    """name: image, text, audio or table. preprocess: as in amaas.json. files: what goes into the package with it.

    reading: options of data.load, without which files would come in another size, or at another rate.
    tensors: amaas.json's inputs. shape: of one item, as networks are called with. axes: per input, its axes that vary
    beside the first, by name. description: for messages. fitted_features: those of whose values the training split says
    nothing of other items, since what computes them was fitted to it.
    """

    name: KindName
    task: str
    preprocess: dict[str, Any]
    files: dict[str, bytes]
    shape: tuple[int, ...]
    description: str
    fitted_features: tuple[str, ...]

    @property
    def reading(self) -> dict[str, Any]: ...

    @property
    def tensors(self) -> list[dict[str, Any]]: ...

    @property
    def axes(self) -> list[dict[int, str]]: ...

    def mismatch(self, values: np.ndarray, details: dict[str, Any]) -> str | None:
        """Where these (as in Source) would be taken for what they are not: what is taken, and what these are."""

    def disclosed(self, values: np.ndarray) -> np.ndarray:
        """What may go into a package as its golden set, in the place of these items."""

    def encode(self, values: np.ndarray) -> Inputs:
        """All items of a split in a compact form, computed once."""

    def inputs(self, encoded: Inputs, indices: torch.Tensor | slice) -> Inputs:
        """The network's inputs for some of them."""

    def augmented(
        self, encoded: Inputs, indices: torch.Tensor, generator: torch.Generator, augmentation: Augmentation
    ) -> Inputs:
        """The network's inputs for some of them, changed at random as the settings say."""

    def example(self, count: int) -> tuple[torch.Tensor, ...]:
        """Inputs of zeros, to try a network on."""

    def features(self, values: np.ndarray) -> dict[str, np.ndarray]:
        """Simple features of each item [N], for drift detection and for accuracy by slice."""

    def file_features(self, details: dict[str, Any]) -> dict[str, np.ndarray]:
        """Features of the items as they came, of all splits, that the values do not show. details: as in Source."""

    def categories(self, values: np.ndarray) -> dict[str, tuple[list[str], list[str | None]]]:
        """Features that have no order, for drift detection: the names that are counted; each item's, or None."""

    def feature_details(self) -> dict[str, dict[str, Any]]:
        """What serving has to know of features besides their bins, by name."""
