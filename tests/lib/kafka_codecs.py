# SPDX-License-Identifier: Apache-2.0
"""What a producer may pack record batches with, without any library but zlib: snappy (in the framing of Java clients),
lz4 and zstd only wrap the bytes, which their formats allow. For tests whose payload a compressor would not make."""

import gzip as _gzip
import struct

NAMES = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


def _varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def _snappy(data):
    """Literals of at most 60 bytes."""
    pieces = [data[at : at + 60] for at in range(0, len(data), 60)]
    raw = _varint(len(data)) + b"".join(bytes([len(piece) - 1 << 2]) + piece for piece in pieces)
    return b"\x82SNAPPY\0" + struct.pack(">iii", 1, 1, len(raw)) + raw


def _rotate(value, by):
    return (value << by | value >> 32 - by) & 0xFFFFFFFF


def _xxh32_short(data):
    """xxHash32 with seed 0 of less than four bytes."""
    hashed = (374761393 + len(data)) & 0xFFFFFFFF
    for byte in data:
        hashed = _rotate((hashed + byte * 374761393) & 0xFFFFFFFF, 11) * 2654435761 & 0xFFFFFFFF
    hashed = (hashed ^ hashed >> 15) * 2246822519 & 0xFFFFFFFF
    hashed = (hashed ^ hashed >> 13) * 3266489917 & 0xFFFFFFFF
    return hashed ^ hashed >> 16


def _lz4(data):
    """A frame of independent blocks of 64 KiB that are stored."""
    descriptor = bytes([0x60, 0x40])
    blocks = [data[at : at + 65536] for at in range(0, len(data), 65536)]
    body = b"".join(struct.pack("<I", len(block) | 1 << 31) + block for block in blocks)
    head = struct.pack("<I", 0x184D2204) + descriptor + bytes([_xxh32_short(descriptor) >> 8 & 255])
    return head + body + struct.pack("<I", 0)


def _zstd(data):
    """A frame with a window of 128 KiB and raw blocks."""
    blocks = [data[at : at + 65536] for at in range(0, len(data), 65536)] or [b""]
    body = b""
    for at, block in enumerate(blocks):
        body += struct.pack("<I", (at == len(blocks) - 1) | len(block) << 3)[:3] + block
    return struct.pack("<IBB", 0xFD2FB528, 0, 7 << 3) + body


def pack(codec, data):
    """data as a batch of that codec ("none" to "zstd") carries its records."""
    return {
        "none": lambda same: same,
        "gzip": lambda plain: _gzip.compress(plain, mtime=0),
        "snappy": _snappy,
        "lz4": _lz4,
        "zstd": _zstd,
    }[codec](data)
