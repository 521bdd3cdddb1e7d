"""What a package that makes text of speech declares: how sound is heard, and which tokens mean what in its texts.

Two of the plans of processing.py, for models in the form of Whisper.
"""

# annotations are not kept as text: see fields.py

from typing import Annotated

from msgspec import Meta, Struct, field

from shared.package.fields import FileName

Token = Annotated[int, Meta(ge=0, le=10_000_000)]
Language = Annotated[str, Meta(pattern=r"^[a-z]{2,3}$")]


class Speech(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="speech"):
    """How sound becomes features (serving/inputs/log_mel.py). mels: numbers of a frame. seconds: of a window.

    tokenizer: of the texts; as Text has it.
    """

    tokenizer: FileName
    mels: Annotated[int, Meta(ge=1, le=1024)] = 80
    seconds: Annotated[float, Meta(gt=0, le=60)] = 30.0


class Transcription(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="transcription"
):
    """Tokens that are no text, as generation_config.json has them: start (decoder_start_token_id), end, languages by
    their code (lang_to_id), transcribe and translate (task_to_id), no_timestamps, previous (before prompts), no_speech.

    A model of one language has neither languages nor tasks. Tokens behind no_timestamps are times, in steps of 20 ms;
    initial: the most that the first of a window can be, in these steps. timestamps: whether the model was trained to
    give them. suppress: tokens that no text has; begin_suppress: that none begins with. context: tokens that the
    decoder can have. heads, width: as Generation has them.
    """

    start: Token
    end: Token
    no_timestamps: Token
    languages: Annotated[dict[Language, Token], Meta(max_length=500)] = field(default_factory=dict)
    transcribe: Token | None = None
    translate: Token | None = None
    previous: Token | None = None
    no_speech: Token | None = None
    timestamps: bool = True
    initial: Annotated[int, Meta(ge=0, le=1500)] | None = 50
    suppress: Annotated[list[Token], Meta(max_length=10_000)] = field(default_factory=list)
    begin_suppress: Annotated[list[Token], Meta(max_length=10_000)] = field(default_factory=list)
    context: Annotated[int, Meta(ge=8, le=100_000)] = 448
    heads: Annotated[int, Meta(ge=1, le=1024)] | None = None
    width: Annotated[int, Meta(ge=1, le=4096)] | None = None
