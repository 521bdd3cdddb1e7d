"""What counts as one line of text that people can have written: names of files, arguments, labels of tokens."""

from __future__ import annotations


def is_plain_text(text: str) -> bool:
    """Whether text has no control characters, line ends, halves of characters or noncharacters.

    str.isprintable is another question: it takes all blanks but one, and what joins letters and emoji, for unprintable,
    which systems put into the names of files. Noncharacters cannot be written in the listings of a bucket, which are
    XML.
    """
    unusual = [one for one in text if not " " <= one <= "~"]
    if not unusual:
        return True
    import unicodedata  # for the few names that need it: a cold start need not wait for it

    return not any(
        unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") or _is_noncharacter(ord(one)) for one in unusual
    )


def _is_noncharacter(code: int) -> bool:
    return code & 0xFFFE == 0xFFFE or 0xFDD0 <= code < 0xFDF0
