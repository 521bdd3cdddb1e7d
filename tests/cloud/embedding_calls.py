"""What test_openai_embeddings asks, through clients as they are: runs in the environment 'openai', without our code.

{"url", "token", "texts", "ids"} on standard input → one JSON object: by question, the vectors that came back.
"""

from __future__ import annotations

import json
import os
import sys

os.environ |= {"LANGSMITH_TRACING": "false", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}  # nothing is fetched

import litellm
import openai
from langchain_openai import OpenAIEmbeddings

ACCESS = json.load(sys.stdin)
URL, TOKEN, TEXTS, IDS = f"{ACCESS['url']}/v1", ACCESS["token"], ACCESS["texts"], ACCESS["ids"]
client = openai.OpenAI(base_url=URL, api_key=TOKEN, max_retries=0, timeout=60)
# the tokens of its default are OpenAI's, which mean nothing to another vocabulary
chain = OpenAIEmbeddings(model="embedder", base_url=URL, api_key=TOKEN, check_embedding_ctx_length=False)


def refused() -> list[object]:
    try:
        client.embeddings.create(model="embedder", input=[[10**6]])
    except openai.BadRequestError as error:
        return [error.code, error.request_id is not None]
    return []


print(
    json.dumps(
        {
            # it asks for base64 where nothing is said
            "openai": [one.embedding for one in client.embeddings.create(model="embedder", input=TEXTS).data],
            "openai floats": [
                one.embedding
                for one in client.embeddings.create(model="embedder", input=TEXTS, encoding_format="float").data
            ],
            "openai ids": [one.embedding for one in client.embeddings.create(model="embedder", input=IDS).data],
            "openai ids of one": [
                one.embedding for one in client.embeddings.create(model="embedder", input=IDS[0]).data
            ],
            "litellm": [
                one["embedding"]
                for one in litellm.embedding(model="openai/embedder", input=TEXTS, api_base=URL, api_key=TOKEN).data
            ],
            "langchain": chain.embed_documents(TEXTS),
            "langchain query": [chain.embed_query(TEXTS[0])],
            "refused": refused(),
        }
    )
)
