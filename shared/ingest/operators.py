"""Which operators are served: the ONNX standard's, those that ONNX Runtime's tools write, the model's own functions."""

from __future__ import annotations

from functools import cache

from onnx import defs

STANDARD = ("", "ai.onnx.ml")
MICROSOFT = "com.microsoft"
# Emitted by ONNX Runtime's optimizer (up to EXTENDED), its quantization and transformer tools, and scikit-learn's
# converter, if the CPU has a kernel for it. Left out although it has one: shared/registry/withdrawn.py.
CONTRIB = frozenset(
    """
    Attention BiasGelu CDist ConvTransposeWithDynamicPads DecoderMaskedMultiHeadAttention DequantizeLinear
    DynamicQuantizeLSTM DynamicQuantizeMatMul EmbedLayerNormalization ExpandDims FastGelu FusedConv FusedGemm
    FusedMatMul GatherBlockQuantized GatherND Gelu GroupQueryAttention MatMulBnb4 MatMulInteger16
    MatMulIntegerToFloat MatMulNBits MultiHeadAttention MurmurHash3 NhwcMaxPool Pad QAttention
    QEmbedLayerNormalization QGemm QLinearAdd QLinearAveragePool QLinearConcat QLinearConv QLinearGlobalAveragePool
    QLinearLeakyRelu QLinearMul QLinearSigmoid QLinearSoftmax QLinearWhere QMoE QuantizeLinear QuickGelu
    RotaryEmbedding SkipLayerNormalization SkipSimplifiedLayerNormalization Tokenizer TransposeMatMul Trilu Unique
    """.split()  # noqa: SIM905 - sixty quoted names would be harder to read and to compare
)
# Emitted without a domain, before the standard had them.
UNSPECIFIED = frozenset({"LayerNormalization", "SimplifiedLayerNormalization", "Gelu"})


@cache
def _standard() -> frozenset[tuple[str, str]]:
    return frozenset((schema.domain, schema.name) for schema in defs.get_all_schemas_with_history())


@cache
def variadic_from(domain: str, name: str) -> int | None:
    """Index of the first variadic input of a standard operator; None if it has none."""
    if domain not in STANDARD or not defs.has(name, domain):
        return None
    inputs = defs.get_schema(name, domain).inputs
    variadic = defs.OpSchema.FormalParameterOption.Variadic
    return len(inputs) - 1 if inputs and inputs[-1].option == variadic else None


def served(domain: str, name: str, functions: set[tuple[str, str]]) -> bool:
    """functions: domain and name of the model's own."""
    if domain == MICROSOFT:
        return name in CONTRIB
    if domain == "" and name in UNSPECIFIED:
        return True
    return (domain in STANDARD and (domain, name) in _standard()) or (domain, name) in functions
