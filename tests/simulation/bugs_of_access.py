"""Seeded bugs of limits, of usage keys, and of JWTs."""

from __future__ import annotations

from tests.simulation.seeded import Bug

SLOTS, HELD = "shared.access.slots:", "tests/access/test_slots.py"
PLANS = "tests/access/test_usage_plans.py"
CALLERS, SIGNED, JWT = "shared.access.jwt.callers:", "shared.access.jwt.signed:", "tests/access/test_jwt.py"
ISSUER, KEYS = "shared.access.jwt.issuer:Issuer.", "tests/access/test_issuer.py"
RSA, NUMBERS = "shared.signing.rsa:", "tests/signing/test_rsa.py"

LIMITS = [
    Bug("a job begins beyond the limit", SLOTS + "take", "if not fits:", "if False:", HELD),
    Bug("one job more than the limit", SLOTS + "take", "ended) <= most", "ended) <= most + 1", HELD),
    Bug("a refused call keeps its slot", SLOTS + "take", "fits:\n        _remove(store, own)", "fits:", HELD),
    Bug(
        "who is about to begin loses its slot",
        SLOTS + "_jobs",
        "marker.modified > SETTLE",
        "marker.modified > -1",
        HELD,
    ),
    Bug("what never began keeps its slot", SLOTS + "_jobs", "marker.modified > SETTLE", "marker.modified > 1e9", HELD),
    Bug("an ended job keeps its slot", SLOTS + "_jobs", "if verdict or (", "if (", HELD),
    Bug("a job that runs loses its slot", SLOTS + "_jobs", "if verdict or (", "if verdict is not None or (", HELD),
    Bug("one byte more than the limit", SLOTS + "use_bytes", "used > most:", "used > most + 1:", HELD),
    Bug("a repetition counts twice", SLOTS + "use_bytes", "{_name(folder, marker): ", "{marker.key: ", HELD),
    Bug("refused bytes count", SLOTS + "use_bytes", "most:\n        _remove(store, own)", "most:", HELD),
    Bug("a key goes while it is used", "shared.access.tokens:_release_key", "not replaced and ", "", PLANS),
    Bug("a key goes in the overlap", "shared.access.tokens:_ended", "seals) <= time.time()", "seals) <= 1e12", PLANS),
    Bug("a key goes before its record", "shared.access.unused:free", "created < time.time() - SETTLE", "True", PLANS),
    Bug("all numbers in one plan", "shared.access.gateway:UsagePlans.assign", "if own.of_calls", "if False", PLANS),
]

JWTS = [
    Bug(
        "the header says the algorithm", SIGNED + "require_signature", "token.header.alg != key.algorithm", "False", JWT
    ),
    Bug("extensions are passed over", SIGNED + "parse", "or header.crit is not UNSET", "", JWT),
    Bug("two spellings of a token", SIGNED + "decode", "if again != text.encode():", "if False:", JWT),
    Bug("two keys of one id", SIGNED + "read_keys", "if kid not in twice", "", KEYS),
    Bug("another issuer's tokens", CALLERS + "_require_valid", "claims.iss != issuer", "False", JWT),
    Bug("another audience's tokens", CALLERS + "_require_valid", "audience not in audiences", "False", JWT),
    Bug("expired tokens", CALLERS + "_require_valid", "not now - SKEW < claims.exp", "False", JWT),
    Bug("tokens of tomorrow", CALLERS + "_require_valid", "not max(claims.nbf, claims.iat) <= now", "0 > now", JWT),
    Bug("tokens for ever", CALLERS + "_require_valid", "not claims.exp <= now + LONGEST + SKEW", "False", JWT),
    Bug("groups are scopes", CALLERS + "_scopes", "if rules.groups:", "if False:", JWT),
    Bug(
        "invented keys are always asked for",
        ISSUER + "_refresh",
        "self._attempted < PAUSE",
        "self._attempted < 0",
        KEYS,
    ),
    Bug("keys for ever", ISSUER + "key", "self._fetched > STALE", "self._fetched > 1e12", KEYS),
    Bug("keys are fetched once", ISSUER + "key", "age > FRESH or identity not in self._keys", "False", KEYS),
    Bug("another issuer's keys", ISSUER + "_fetch_keys", "configuration.issuer != self.address", "False", KEYS),
    Bug("keys from anywhere", ISSUER + "_fetch_keys", "self._require_safe(configuration.jwks_uri)", "pass", KEYS),
    Bug("an issuer without TLS", ISSUER + "_require_safe", 'match[1] != "https" and', "False and", KEYS),
    Bug("signatures of any length", RSA + "verify", "len(signature) != length or ", "", NUMBERS),
    Bug("signatures beyond the modulus", RSA + "verify", " or number >= modulus", "", NUMBERS),
    Bug("keys of any exponent", RSA + "usable", "exponent == EXPONENT and ", "", NUMBERS),
    Bug("weak keys", RSA + "usable", "SMALLEST <= ", "0 <= ", NUMBERS),
    Bug(
        "a subject that is locked out gets in",
        "shared.access.authenticate:require_not_revoked",
        "revoked_since(mark, identity, seals) <= time.time()",
        "False",
        "tests/functions/test_jwt.py",
    ),
]
