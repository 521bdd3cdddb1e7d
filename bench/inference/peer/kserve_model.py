"""The kserve server with a custom model: REST only, one worker, without its line per request."""

import os

import kserve.model_server
import onnxruntime as ort
from kserve import InferRequest, InferResponse, Model, ModelServer
from kserve.protocol.rest.server import RESTServer
from kserve.utils.utils import get_predict_response


class OnnxModel(Model):
    def load(self) -> bool:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
        self.ready = True
        return self.ready

    def predict(self, payload: InferRequest, headers=None, response_headers=None) -> InferResponse:
        feeds = {tensor.name: tensor.as_numpy() for tensor in payload.inputs}
        [result] = self.session.run(None, feeds)
        return get_predict_response(payload, result, self.name)


class Loopback(RESTServer):
    """kserve has no setting for the address, and would listen on all of them."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.config.host = "127.0.0.1"


if __name__ == "__main__":
    kserve.model_server.RESTServer = Loopback
    model = OnnxModel("model")
    model.load()
    ModelServer(http_port=int(os.environ["PORT"]), enable_grpc=False, enable_latency_logging=False).start([model])
