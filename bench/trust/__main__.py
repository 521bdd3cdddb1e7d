"""The proofs that run long, one row of results/trust.md each:

    python -m bench.trust                       the page, from what is kept; --write writes it
    python -m bench.trust ROW… [--write]        carry out rows at their full size; --write keeps what came of them
        [--count N] [--seed S] [--minutes M]    a smaller, another, or a shorter run of it; the page says so

A row holds when nothing failed, and when its negative control - the same proof of something broken - went red.
"""

from __future__ import annotations

import argparse
import logging
import sys

from bench.trust import proof, table
from bench.trust.rows import PROOFS
from tests.simulation.__main__ import fix_hashes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(PROOFS))
    parser.add_argument("--count", type=int)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--minutes", type=float, help="of each row, in which as much is done as there is time for")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    fix_hashes("bench.trust")
    logging.disable(logging.CRITICAL)
    right, results = True, proof.kept()
    for row in options.rows:
        one = PROOFS[row]
        if options.minutes:
            proof.LIMIT.set(options.minutes)
        seed = one.seed if options.seed is None else options.seed
        result = proof.carry_out(one, options.count or one.count, seed)
        right &= proof.holds(result)
        print(table.described(row, result), flush=True)
        if options.write:
            results = proof.keep(row, result)
    if not options.rows:
        print(table.markdown(PROOFS, results))
    if options.write:
        table.PAGE.write_text(table.markdown(PROOFS, proof.kept()))
    sys.exit(not right)


if __name__ == "__main__":
    main()
