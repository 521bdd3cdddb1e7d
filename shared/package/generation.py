"""What a package that generates text declares: how a prompt is made, and how its text is ended.

Two of the plans of processing.py.
"""

# annotations are not kept as text: see fields.py

from typing import Annotated

from msgspec import Meta, Struct, field

from shared.package.fields import FileName, Fraction

Marker = Annotated[str, Meta(max_length=200, pattern=r"\S")]


class Prompt(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="prompt"):
    """How chats and texts become tokens of a decoder. tokenizer: as Text has it.

    template: a file of the package that makes a text of messages, as Hugging Face's chat_template.jinja; without one,
    the model has no chats. special: what a template is given by name, such as `bos_token`. tools: what stands before
    and behind a call of a tool in a text, as the model was trained: {"name": …, "arguments": …} is between them.
    """

    tokenizer: FileName
    template: FileName | None = None
    special: Annotated[dict[str, Annotated[str, Meta(max_length=200)]], Meta(max_length=20)] = field(
        default_factory=dict
    )
    tools: Annotated[list[Marker], Meta(min_length=2, max_length=2)] | None = None


class Generation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="generation"):
    """What follows a prompt, token by token. ends: tokens that end a text. context: tokens that the model can have.

    max_tokens: that a call may ask for, and gets where it asks for none. The others are for calls that do not say:
    see serving/generation/sampling.py. stop: strings that end a text.

    heads, width: of keys and values, where the graph leaves them open; window: the tokens that each layer looks back
    on, where the graph does not say it, and config.json does.
    """

    ends: Annotated[list[Annotated[int, Meta(ge=0)]], Meta(max_length=100)] = field(default_factory=list)
    context: Annotated[int, Meta(ge=8, le=10_000_000)] | None = None
    max_tokens: Annotated[int, Meta(ge=1, le=1_000_000)] = 1024
    temperature: Annotated[float, Meta(ge=0, le=2)] = 1.0
    top_k: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    top_p: Annotated[float, Meta(gt=0, le=1)] = 1.0
    min_p: Fraction = 0.0
    repetition_penalty: Annotated[float, Meta(gt=0, le=10)] = 1.0
    stop: Annotated[list[Annotated[str, Meta(min_length=1, max_length=200)]], Meta(max_length=16)] = field(
        default_factory=list
    )
    heads: Annotated[int, Meta(ge=1, le=1024)] | None = None
    width: Annotated[int, Meta(ge=1, le=4096)] | None = None
    window: Annotated[int, Meta(ge=1, le=10_000_000)] | None = None
