"""MLServer with a custom runtime, in the server's own process (`parallel_workers=0`), which is its quickest way."""

import asyncio
import os

import onnxruntime as ort
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class OnnxModel(MLModel):
    async def load(self) -> bool:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
        [self.output] = [output.name for output in self.session.get_outputs()]
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        feeds = {tensor.name: NumpyCodec.decode_input(tensor) for tensor in payload.inputs}
        [result] = self.session.run(None, feeds)
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output(self.output, result)])


async def serve() -> None:
    port = int(os.environ["PORT"])
    # gRPC and metrics get neighboring ports: they cannot be left out
    ports = {"http_port": port, "grpc_port": port + 1, "metrics_port": port + 2}
    settings = Settings(host="127.0.0.1", debug=False, parallel_workers=0, **ports)
    await MLServer(settings).start([ModelSettings(name="model", implementation=OnnxModel)])


if __name__ == "__main__":
    asyncio.run(serve())
