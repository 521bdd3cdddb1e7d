"""In which form a version is served here: most have one; some 8-bit models a second one, which a processor may prefer.

The model itself is right on every processor. Where 8-bit sums are 32 bits wide (VNNI), the form with signed weights is
as right and takes a half to a sixth of the time (decision 24).
"""

from __future__ import annotations

from shared.registry.state import Version

# names among the files of a version; no file of a package is called so
WIDE = ".wide"
WEIGHTS = ".weights"  # of a decoder whose file had its weights inside


def digests(version: Version) -> list[str]:
    """The blobs to try, the best for this processor first."""
    wide = version.files.get(WIDE)
    if wide is None:
        return [version.model]
    from shared.runtime import processor  # with numpy, which the session needs anyway

    return [wide, version.model] if processor.sums_widely() else [version.model]
