"""What golden sets of tokens have in common: how many there may be, and what is said of those that agree."""

from __future__ import annotations

from typing import Any

from shared.ingest.verdict import Refused
from shared.package.manifest import Golden

MOST_TOKENS = 4000


def require_few(tokens: int) -> None:
    """Raises Refused for a golden set of more than MOST_TOKENS."""
    if tokens > MOST_TOKENS:
        raise Refused("golden_invalid", f"the golden set has more than {MOST_TOKENS:,} tokens: leave some out")


def judge(golden: Golden, tokens: int, agreed: int) -> dict[str, Any]:
    """What the gate notes. tokens, agreed: of all cases, and those of them that are the likeliest. Raises Refused."""
    share = agreed / tokens
    if share < golden.least_agreement:
        raise Refused(
            "golden_mismatch",
            f"of {tokens:,} tokens in the golden set, the model as it is served finds {agreed:,} the likeliest "
            f"({share:.1%}), fewer than the {golden.least_agreement:.1%} that the package asks for: quantize it "
            "less, or lower golden.agree to what the model is worth",
        )
    return {"cases": len(golden.cases), "tokens": tokens, "agreed": round(share, 4), "passed": True}
