"""LitServe: one LitAPI, one worker, ZeroMQ between server and worker, as it recommends for many requests.

Its binary form is a file in a form's field.
"""

import os

import litserve as ls
import numpy as np
import onnxruntime as ort
from fastapi import Request, Response


class OnnxAPI(ls.LitAPI):
    def setup(self, device):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
        [self.input] = self.session.get_inputs()

    def decode_request(self, request: Request):
        if "tensor" in request:
            return np.frombuffer(request["tensor"].file.read(), np.float32).reshape(1, *self.input.shape[1:]), True
        [tensor] = request["inputs"]
        return np.array(tensor["data"], np.float32).reshape(tensor["shape"]), False

    def predict(self, call):
        values, binary = call
        return self.session.run(None, {self.input.name: values})[0], binary

    def encode_response(self, answer):
        result, binary = answer
        if binary:
            return Response(result.tobytes(), media_type="application/octet-stream")
        return {"outputs": [{"shape": result.shape, "data": result.ravel().tolist()}]}


if __name__ == "__main__":
    server = ls.LitServer(OnnxAPI(), accelerator="cpu", workers_per_device=1, fast_queue=True)
    port = int(os.environ["PORT"])
    server.run(host="127.0.0.1", port=port, generate_client_file=False, log_level="warning", access_log=False)
