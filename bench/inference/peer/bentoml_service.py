"""BentoML: a service with one worker, as `bentoml serve` runs it. Its binary form is a file in a form's field."""

import os
from pathlib import Path
from typing import Annotated

import bentoml
import numpy as np
import onnxruntime as ort
from bentoml.validators import DType


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class OnnxService:
    def __init__(self) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
        [self.input] = self.session.get_inputs()
        self.row = self.input.shape[1:]

    @bentoml.api
    def infer(self, values: Annotated[np.ndarray, DType("float32")]) -> np.ndarray:
        return self.session.run(None, {self.input.name: values.reshape(1, *self.row)})[0]

    @bentoml.api
    def binary(self, tensor: Path) -> np.ndarray:
        values = np.fromfile(tensor, np.float32).reshape(1, *self.row)
        return self.session.run(None, {self.input.name: values})[0]
