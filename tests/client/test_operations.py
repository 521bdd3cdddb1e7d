"""Every operation of the API has its method in the client, or is named here with what is there instead."""

from __future__ import annotations

import json
import re
from pathlib import Path

from amaas import Client

NAMES = json.loads((Path(__file__).parents[1] / "functions" / "api_names.json").read_text())
# operations with the method that calls them
PART_OF = {
    "addBatchJobFiles": "create_batch_job",
    "createChatCompletion": "chat",
    "createCompletion": "complete",
    "createUploadSession": "push",
    "explainVersion": "explain",
    "getServerLive": "status",
    "getServerReady": "status",
    "inferVersion": "infer",
    "predictVersion": "predict",
    "rerankV2": "rerank",
    "rollbackAlias": "rollback",
    "setAlias": "promote",
}
# of the Open Inference Protocol, Triton's extensions, OpenAI's API and OpenAPI: for their own clients
OTHER_CLIENTS = {
    "createEmbeddings", "createTranscription", "createTranslation",
    "generate", "generateStream", "generateVersion", "generateVersionStream", "getApiDescription",
    "getModelConfig", "getModelMetadata", "getModelReady", "getModelStatistics", "getOpenaiModel",
    "getRepositoryIndex", "getServer", "getVersionConfig", "getVersionMetadata", "getVersionReady", "listModelNames",
    "listOpenaiModels",
}  # fmt: skip
READ = {"listBatchJobOutputs": "read_batch_job_outputs"}  # it reads them, too


def test_every_operation_has_a_method() -> None:
    operations = set(NAMES["operations"].values())
    methods = PART_OF | READ
    for operation in operations - OTHER_CLIENTS:
        name = methods.get(operation) or re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()
        assert callable(getattr(Client, name, None)), f"{operation}: no Client.{name}"
    assert (OTHER_CLIENTS | set(methods)) <= operations
