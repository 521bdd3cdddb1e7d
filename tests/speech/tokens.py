"""The tokens of the tiny model of speech: a character each, then those of Whisper that are no text."""

from __future__ import annotations

import string
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

CHARACTERS = string.ascii_letters + string.digits + "ĠĊ" + "".join(c for c in string.punctuation if c not in "`^|")
TEXTS = 99  # tokens of text
SPECIAL = (
    "<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|de|>", "<|translate|>", "<|transcribe|>", "<|startoflm|>",
    "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>",
)  # fmt: skip
END, START, EN, DE, TRANSLATE, TRANSCRIBE, _, PREVIOUS, NO_SPEECH, NO_TIMESTAMPS = range(TEXTS, TEXTS + len(SPECIAL))
FIRST_TIME = NO_TIMESTAMPS + 1
TIMES = 51
# generation_config.json
GENERATION: dict[str, Any] = {
    "is_multilingual": True,
    "lang_to_id": {"<|en|>": EN, "<|de|>": DE},
    "task_to_id": {"transcribe": TRANSCRIBE, "translate": TRANSLATE},
    "no_timestamps_token_id": NO_TIMESTAMPS,
    "decoder_start_token_id": START,
    "eos_token_id": END,
    "prev_sot_token_id": PREVIOUS,
    "max_initial_timestamp_index": 20,
    "suppress_tokens": [5, 6, 7, START, EN, DE, TRANSLATE, TRANSCRIBE, 105, PREVIOUS, NO_SPEECH],
    "begin_suppress_tokens": [3, END],
}


def tokenizer() -> Tokenizer:
    texts = [f"<unused{number}>" for number in range(TEXTS - len(CHARACTERS))]
    built = Tokenizer(models.BPE({token: number for number, token in enumerate([*CHARACTERS, *texts])}, []))
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    built.decoder = decoders.ByteLevel()
    built.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    built.add_tokens([AddedToken(f"<|{step * 0.02:.2f}|>", special=False) for step in range(TIMES)])
    return built
