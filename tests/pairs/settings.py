"""What the models of this folder are asked, by make.py and by the tests, which have no PyTorch."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).with_name("models")
TEXTS = ["the cat sat on the mat", "politics in paris", "a dog ran in the park and the cat sat on a mat in new york"]
LABELS = ["cat", "sport news", "politics", "park"]
TEMPLATES = ["This example is {}.", "{} in the news"]
# of the images
SIDE, MEAN, STD = 16, [0.48, 0.45, 0.40], [0.26, 0.26, 0.27]
