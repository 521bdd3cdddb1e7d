"""What the header of a sound file says of its length, made true: recorders that died or used a pipe left it wrong.

libsndfile reads no further than the header says. A copy of the file with the length that its content has is read whole.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from shared.errors import BadInput

FLAC, FLAC_TOTAL = b"fLaC", slice(21, 26)  # the last 36 bits of STREAMINFO's 8 bytes of numbers
OGG = b"OggS"
ID3V1, APE = 128, 32  # bytes of such a tag; of the other one's footer, and of its header
CHUNKS = (b"LIST", b"id3 ", b"ID3 ", b"fact", b"PEAK", b"bext", b"iXML", b"cue ", b"smpl", b"JUNK", b"PAD ", b"afsp")
# of MPEG's layer III: kbit/s by the header's four bits, of version 1 and of 2 and 2.5; Hz by its two bits
KILOBITS = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
HERTZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
KINDS = {
    b"\x1a\x45\xdf\xa3": "WebM or Matroska",
    b"#!AMR": "AMR",
    b"0&\xb2u": "WMA",
    b"\xff\xf1": "AAC",
    b"\xff\xf9": "AAC",
    b"ADIF": "AAC",
    b"MThd": "MIDI",
    b"FLV": "FLV",
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
}


def kind_of(body: bytes) -> str | None:
    """What a file is that cannot be read here; None where that is not known."""
    if body[4:8] == b"ftyp":
        return "M4A or MP4"
    return next((name for start, name in KINDS.items() if body.startswith(start)), None)


def mended(body: bytes) -> bytes:
    """The file with the length of its content, or as it is where its header has that, or none of its own.

    Raises BadInput for several sounds in one file, of which the library reads the first.
    """
    if body[:4] == b"RIFF" and body[8:12] == b"WAVE":
        return _wav(_untagged(body))
    if body.startswith(FLAC) and len(body) > FLAC_TOTAL.stop:
        return _flac(_untagged(body))
    if body.startswith(OGG):
        _require_one_sound(body)
    return _mp3(body) if body[:3] == b"ID3" or _frame(body, 0) else body


def frames_said(body: bytes) -> int | None:
    """Samples of each channel that a FLAC says it has: fewer are decoded where it is cut. None: it says nothing."""
    if not body.startswith(FLAC):
        return None
    return int.from_bytes(body[FLAC_TOTAL]) & (2**36 - 1) or None


def _untagged(body: bytes) -> bytes:
    """Without the tags of MP3 files (ID3v1, APEv2), which some programs put behind any sound."""
    if body[-ID3V1:].startswith(b"TAG"):
        return _untagged(body[:-ID3V1])
    footer = body[-APE:]
    if not footer.startswith(b"APETAGEX"):
        return body
    _, size, _, flags = struct.unpack_from("<4I", footer, 8)
    return body[: max(len(body) - size - (APE if flags >> 31 else 0), 0)]


def _require_one_sound(body: bytes) -> None:
    """Raises BadInput where a page begins a stream behind pages of another one: an Ogg file that was appended to."""
    at, begun = 0, False
    while body[at : at + 4] == OGG and at + 27 <= len(body):
        begins, segments = body[at + 5] & 2, body[at + 26]
        if begins and begun:
            raise BadInput("the file is several sounds, one behind the other: save them as one, or send each by itself")
        begun = begun or not begins
        at += 27 + segments + sum(body[at + 27 : at + 27 + segments])


def _flac(body: bytes) -> bytes:
    """Of unknown length, so that it is read to its end."""
    return body[: FLAC_TOTAL.start] + bytes([body[FLAC_TOTAL.start] & 0xF0]) + bytes(4) + body[FLAC_TOTAL.stop :]


def _wav(body: bytes) -> bytes:
    """With the size of its data: to the end of the file, unless more chunks are behind those that it says."""
    at = 12
    while at + 8 <= len(body):
        size = int.from_bytes(body[at + 4 : at + 8], "little")
        if body[at : at + 4] == b"data":
            rest = body[at + 8 + size + size % 2 :]
            if _are_chunks(rest) or (size and not rest.strip(b"\0")):
                return body
            return body[: at + 4] + struct.pack("<I", len(body) - at - 8) + body[at + 8 :]
        at += 8 + size + size % 2
    return body


def _are_chunks(rest: bytes) -> bool:
    at = 0
    while at + 8 <= len(rest):
        name, size = rest[at : at + 4], int.from_bytes(rest[at + 4 : at + 8], "little")
        fits = name.isascii() and name.decode().isprintable() and at + 8 + size <= len(rest)
        if not fits and name not in CHUNKS:
            return False
        at += 8 + size + size % 2
    return True


def _mp3(body: bytes) -> bytes:
    """With the number of its frames in the first one, as encoders put it there (Xing's header)."""
    start = _behind_tags(body)
    places = _frames(body, start)
    first = next(places, None)
    if first is None:
        return body
    header = body[first : first + _length(body, first)]
    tag = max(header.find(b"Xing", 0, 64), header.find(b"Info", 0, 64))
    count = sum(1 for _ in places)
    if tag >= 0:
        return _with_count(body, first, first + tag, count)
    said = _first_frame(body, first, count + 1)
    return body[:first] + said + body[first:] if said else body


def _with_count(body: bytes, first: int, tag: int, count: int) -> bytes:
    """The frames that there are, but of a file that was cut: its last one is no end, from which silence is taken."""
    flags, said, size = struct.unpack_from(">III", body.ljust(tag + 16, b"\0"), tag + 4)
    is_cut = flags & 3 == 3 and size > len(body) - first
    if not flags & 1 or (is_cut and said > count):
        return body
    return body[: tag + 8] + struct.pack(">I", count) + body[tag + 12 :]


def _first_frame(body: bytes, first: int, count: int) -> bytes:
    """A frame without sound that says how many follow; empty where one like the first has no room for it."""
    version, mono = body[first + 1] >> 3 & 3, body[first + 3] >> 6 == 3
    side = (17 if mono else 32) if version == 3 else (9 if mono else 17)
    length = _length(body, first)
    said = bytes([body[first], body[first + 1] | 1, *body[first + 2 : first + 4]]) + bytes(side)
    said += b"Xing" + struct.pack(">II", 1, count)
    return said.ljust(length, b"\0") if len(said) <= length else b""


def _behind_tags(body: bytes) -> int:
    """Where the sound begins: ID3's size has seven bits in each byte."""
    if body[:3] != b"ID3" or len(body) < 10:
        return 0
    return 10 + sum((byte & 127) << shift for byte, shift in zip(body[6:10], (21, 14, 7, 0), strict=True))


def _frames(body: bytes, start: int) -> Iterator[int]:
    """Where frames like the first begin; what is between them is passed over, as decoders do."""
    at, like = start, None
    while (at := body.find(b"\xff", at)) >= 0:
        frame = _frame(body, at)
        if frame is None or (like is not None and frame != like):
            at += 1
            continue
        end = at + _length(body, at)
        if like is None and end < len(body) and _frame(body, end) != frame:
            at += 1  # the first one is followed by another
            continue
        if end > len(body):
            return
        like = frame
        yield at
        at = end


def _frame(body: bytes, at: int) -> tuple[int, int] | None:
    """Version and rate of a frame of layer III, or None."""
    if at + 4 > len(body) or body[at] != 0xFF or body[at + 1] & 0xE6 != 0xE2:
        return None
    version, kilobits, rate = body[at + 1] >> 3 & 3, body[at + 2] >> 4, body[at + 2] >> 2 & 3
    return (version, rate) if version != 1 and rate < 3 and 0 < kilobits < 15 else None


def _length(body: bytes, at: int) -> int:
    """Bytes of the frame."""
    version, padding = body[at + 1] >> 3 & 3, body[at + 2] >> 1 & 1
    hertz = HERTZ[version][body[at + 2] >> 2 & 3]
    kilobits = KILOBITS[version != 3][body[at + 2] >> 4]
    return (144 if version == 3 else 72) * 1000 * kilobits // hertz + padding
