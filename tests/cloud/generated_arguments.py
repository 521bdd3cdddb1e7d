"""How each operation is called by a generated client, in this order; tests/console/world.py is what is called."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

WINES = {"model": "wine"}
FIRST = WINES | {"version": "1"}
WRITER = {"model": "writer"}
FASHION = {"model": "fashion"}
PRODUCTION = FASHION | {"alias": "production"}
SPARE = WINES | {"alias": "spare"}
HI = [{"role": "user", "content": "hi"}]
ROW = {
    "alcohol": 13.2,
    "malic_acid": 1.78,
    "ash": 2.14,
    "alcalinity_of_ash": 11.2,
    "magnesium": 100.0,
    "total_phenols": 2.65,
    "flavanoids": 2.76,
    "nonflavanoid_phenols": 0.26,
    "proanthocyanins": 1.28,
    "color_intensity": 4.38,
    "hue": 1.05,
    "od280/od315_of_diluted_wines": 3.4,
    "proline": 1050.0,
}
TENSORS = {"inputs": [{"name": "features", "shape": [1, 13], "datatype": "FP32", "data": list(ROW.values())}]}


@dataclass
class Operation:
    """arguments: of path and query; {name} in a text is what an earlier answer gave. keeps: name → member.

    status: of the answer, a success but where the world here has not what it takes; parsed: into a class.
    """

    arguments: dict[str, Any] = field(default_factory=dict)
    body: dict[str, Any] | None = None
    status: int = 200
    parsed: bool = True
    keeps: dict[str, str] = field(default_factory=dict)
    by: str = "ann"


def filled(value: Any, names: dict[str, Any]) -> Any:
    """The value, with names of earlier answers in the place of {name}."""
    if isinstance(value, dict):
        return {key: filled(one, names) for key, one in value.items()}
    if isinstance(value, list):
        return [filled(one, names) for one in value]
    if isinstance(value, str) and value.startswith("{") and value.endswith("}"):
        return names[value[1:-1]]
    return value


OPERATIONS: dict[str, Operation] = {
    "getServer": Operation(),
    "getServerReady": Operation(),
    "getServerLive": Operation(),
    "listModelNames": Operation(),
    "getRepositoryIndex": Operation(),
    "getVersionMetadata": Operation(FIRST),
    "getModelMetadata": Operation(WINES),
    "getVersionReady": Operation(FIRST),
    "getModelReady": Operation(WINES),
    "getVersionConfig": Operation(FIRST),
    "getModelConfig": Operation(WINES),
    "getVersionStatistics": Operation(FIRST),
    "getModelStatistics": Operation(WINES),
    "inferVersion": Operation(FIRST, TENSORS),
    "infer": Operation(WINES, TENSORS),
    "predictVersion": Operation(FIRST, {"inputs": [ROW, ROW]}),
    "predict": Operation(WINES, {"input": ROW, "parameters": {"top_k": 2}}),
    "explainVersion": Operation(FIRST, {"input": ROW}),
    "explain": Operation(WINES, {"input": ROW}),
    "createEmbeddings": Operation(body={"model": "languages", "input": "a text"}, status=400),
    "rerankV2": Operation(body={"model": "wine", "query": "a", "documents": ["b"]}, status=400),
    "rerank": Operation(body={"model": "wine", "query": "a", "documents": ["b"]}, status=400),
    "createChatCompletion": Operation(body={"model": "writer", "messages": HI, "max_tokens": 4}),
    "createCompletion": Operation(body={"model": "writer", "prompt": "hi", "max_tokens": 4}),
    "createTranscription": Operation(body={"model": "nobody", "file": b"RIFF"}, status=404),
    "createTranslation": Operation(body={"model": "nobody", "file": b"RIFF"}, status=404),
    "listOpenaiModels": Operation(),
    "getOpenaiModel": Operation(WRITER),
    "generateVersion": Operation(WRITER | {"version": "1"}, {"text_input": "hi", "parameters": {"max_tokens": 3}}),
    "generate": Operation(WRITER, {"text_input": "hi", "parameters": {"max_tokens": 3}}),
    "generateVersionStream": Operation(
        WRITER | {"version": "1"}, {"text_input": "hi", "parameters": {"max_tokens": 3}}, parsed=False
    ),
    "generateStream": Operation(WRITER, {"text_input": "hi", "parameters": {"max_tokens": 3}}, parsed=False),
    "getApiDescription": Operation(status=404),  # a file of the built function
    "listModels": Operation({"limit": 5}),
    "getModel": Operation(FASHION),
    "updateModel": Operation(WINES, {"card": "Wines of three growers."}),
    "listVersions": Operation(FASHION),
    "getVersion": Operation(FASHION | {"version": "2"}),
    "getVersionSignature": Operation(FIRST, status=404),  # nobody has signed it
    "getVersionFiles": Operation(FIRST),
    "compareVersions": Operation(FASHION | {"from_": "1", "to": "2"}),
    "getHistory": Operation(FASHION),
    "getModelCounts": Operation(FASHION),
    "getModelDrift": Operation(FASHION),
    "getModelAccuracy": Operation(FASHION),
    "setAlias": Operation(SPARE, {"version": 1}),
    "rollbackAlias": Operation(PRODUCTION, {}, status=409),
    "setAliasPolicy": Operation(SPARE, {"protected": True}),
    "createPolicyRequest": Operation(SPARE, {"protected": True}, status=400),  # needs no second person
    "createMoveRequest": Operation(PRODUCTION, {"version": 2}, status=201, keeps={"second": "request"}),
    "approveMoveRequest": Operation(FASHION | {"number": "{second}"}, {}, by="bob"),
    "rejectMoveRequest": Operation(FASHION | {"number": 99}, {}, status=404),
    "retireVersion": Operation({"model": "digits", "version": "1"}, {}, status=409),
    "restoreVersion": Operation({"model": "digits", "version": "1"}, {}),
    "deleteModel": Operation({"model": "hostile"}, {}),
    "restoreModel": Operation({"model": "hostile"}, {}),
    "getModelCost": Operation(FASHION),
    "listModelCosts": Operation(),
    "getRelease": Operation(FASHION | {"alias": "candidate"}),
    "deleteAlias": Operation(FASHION | {"alias": "candidate"}, {}),
    "giveLabels": Operation(FASHION, {"labels": [{"answer_id": "nothing", "label": "Bag"}]}, status=202),
    "deleteLabels": Operation(FASHION),
    "createUploadSession": Operation(
        {"model": "new"}, {"files": [{"name": "model.onnx", "size": 9}]}, status=201, keeps={"upload_id": "upload_id"}
    ),
    "listUploads": Operation({"model": "new"}),
    "listRecentUploads": Operation({"limit": 5}),
    "getUpload": Operation({"upload_id": "{upload_id}"}),
    "deleteUpload": Operation({"upload_id": "{upload_id}"}),
    "redriveUploads": Operation(body={"uploads": ["{upload_id}"]}, status=404),
    "listBatchJobs": Operation(),
    "createBatchJob": Operation(
        WINES, {"files": [{"name": "a.jsonl", "size": 9}]}, status=201, keeps={"new_job": "id"}
    ),
    "addBatchJobFiles": Operation({"job": "{new_job}"}, {"files": [{"name": "b.jsonl", "size": 9}]}, status=201),
    "startBatchJob": Operation({"job": "{new_job}"}, {}, status=409),
    "getBatchJob": Operation({"job": "{job}"}, status=202),
    "listBatchJobFailures": Operation({"job": "{job}"}),
    "listBatchJobOutputs": Operation({"job": "{job}"}),
    "cancelBatchJob": Operation({"job": "{new_job}"}, status=409),
    "deleteBatchJobData": Operation({"job": "{new_job}"}),
    "createTrainingJob": Operation(body={"model": "fashion", "data": "fashion-mnist"}, status=501),
    "listTrainingJobs": Operation(),
    "getTrainingJob": Operation({"job_id": "{job_id}"}),
    "cancelTrainingJob": Operation({"job_id": "{job_id}"}, status=409),
    "deleteTrainingJobData": Operation({"job_id": "{job_id}"}),
    "listTokens": Operation(),
    "createToken": Operation(body={"name": "page", "scopes": ["infer"]}, status=201, keeps={"token_id": "id"}),
    "getOwnToken": Operation(),
    "rotateToken": Operation({"token_id": "{token_id}"}, {}, status=201, keeps={"token_id": "id"}),
    "getLogs": Operation({"since": "1h"}),
    "revokeToken": Operation({"token_id": "{token_id}"}, {}),
}
