"""Counts and rows of any kind, for property tests."""

from __future__ import annotations

from hypothesis import strategies as st

from shared.counts.counts import PHASES, Counts, Row

number = st.integers(0, 10**6)
few = st.integers(1, 50)
histogram = st.dictionaries(st.integers(0, 140), few, max_size=4)
counts = st.builds(
    Counts,
    requests=number,
    client_errors=number,
    errors=st.dictionaries(st.sampled_from(["BadInput", "Unavailable"]), few),
    routes=st.dictionaries(st.sampled_from(["infer", "predict"]), few),
    latency=st.dictionaries(st.sampled_from(PHASES), histogram),
    ns=st.dictionaries(st.sampled_from(PHASES), number),
    bytes_in=number,
    scores=histogram,
    labels=st.dictionaries(st.sampled_from(["cat", "other"]), few),
    features=st.dictionaries(st.sampled_from(["brightness", "x"]), histogram),
    shadow=st.dictionaries(st.sampled_from(["compared", "failed"]), few),
)
row = st.builds(
    Row,
    model=st.sampled_from(["a", "b"]),
    version=st.integers(1, 2),
    alias=st.sampled_from(["", "production"]),
    since=st.integers(0, 2),
    at=st.integers(28_000_000, 28_000_200),
    counts=counts,
)
