"""The floor: what one would write by hand with FastAPI, orjson and ONNX Runtime. It checks nothing.

`POST /infer` takes and gives the protocol's JSON, `POST /binary` a tensor's bare bytes.
"""

import os
from math import prod

import numpy as np
import onnxruntime as ort
import orjson
import uvicorn
from fastapi import FastAPI, Request, Response

options = ort.SessionOptions()
options.intra_op_num_threads = 1
session = ort.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
[argument] = session.get_inputs()
[output] = [o.name for o in session.get_outputs()]
row = argument.shape[1:]

app = FastAPI()


@app.get("/ready")
async def ready():
    return {"ready": True}


# async, so that no thread is waited for: with a model as quick as these it is the fastest way
@app.post("/infer")
async def infer(request: Request):
    tensor = orjson.loads(await request.body())["inputs"][0]
    values = np.array(tensor["data"], np.float32).reshape(tensor["shape"])
    [result] = session.run(None, {argument.name: values})
    answer = {"name": output, "datatype": "FP32", "shape": result.shape, "data": result.ravel()}
    body = orjson.dumps({"outputs": [answer]}, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, media_type="application/json")


@app.post("/binary")
async def binary(request: Request):
    body = await request.body()
    values = np.frombuffer(body, np.float32).reshape(len(body) // (4 * prod(row)), *row)
    [result] = session.run(None, {argument.name: values})
    return Response(result.tobytes(), media_type="application/octet-stream")


if __name__ == "__main__":
    port = int(os.environ["PORT"])
    uvicorn.run(app, host="127.0.0.1", port=port, loop="uvloop", http="httptools", access_log=False)
