"""Write TIFF and PNG files of every kind of sample, also of kinds that Pillow does not write."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

WIDTHS = {3: (2, "H"), 4: (4, "I"), 16: (8, "Q")}
"""Type of a tag -> bytes and format of a value."""
SHORT, LONG, LONG8 = WIDTHS


def packed(values: np.ndarray, bits: int) -> bytes:
    """Pack unsigned samples (H, samples of a row) of 1, 2, 4 or 12 bits, row by row."""
    planes = (values[..., None].astype(np.uint32) >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(planes.reshape(len(values), -1).astype(np.uint8), axis=1).tobytes()


def tiff(
    path: Path,
    pages: np.ndarray | list[np.ndarray],
    photometric: int | None = 1,
    form: int = 1,
    bits: int | None = None,
    order: str = "<",
    big: bool = False,
    deflate: bool = False,
    planar: bool = False,
    rows: int = 0,
    tile: int = 0,
    tags: dict[int, list[int]] | None = None,
) -> Path:
    """Write pages (H, W[, C]) of one strip each, or of strips of some rows or of square tiles that
    fit into the image, as TIFF or BigTIFF with the given tags.
    """
    head = b"II" if order == "<" else b"MM"
    head += struct.pack(order + ("HHHQ" if big else "HI"), *((43, 8, 0, 16) if big else (42, 8)))
    content = head
    pages = pages if isinstance(pages, list) else [pages]
    for number, page in enumerate(pages):
        deep = page if page.ndim == 3 else page[:, :, None]
        height, width, samples = deep.shape
        strips = [deep[:, :, [channel]] for channel in range(samples)] if planar else [deep]
        if rows or tile:
            high, wide = (tile, tile) if tile else (rows, width)
            strips = [
                deep[y : y + high, x : x + wide]
                for y in range(0, height, high)
                for x in range(0, width, wide)
            ]
        width_bits = bits or deep.dtype.itemsize * 8
        blobs = [
            packed(strip.reshape(len(strip), -1), width_bits)
            if width_bits in (1, 2, 4, 12)
            else strip.astype(strip.dtype.newbyteorder(order)).tobytes()
            for strip in strips
        ]
        blobs = [zlib.compress(blob) for blob in blobs] if deflate else blobs
        offset = LONG8 if big else LONG
        entries = {
            256: (LONG, [width]),
            257: (LONG, [height]),
            258: (SHORT, [width_bits] * samples),
            259: (SHORT, [8 if deflate else 1]),
            273: (offset, [0] * len(blobs)),
            277: (SHORT, [samples]),
            278: (LONG, [rows or height]),
            279: (offset, [len(blob) for blob in blobs]),
            284: (SHORT, [2 if planar else 1]),
            339: (SHORT, [form] * samples),
        }
        if tile:
            entries |= {322: (SHORT, [tile]), 323: (SHORT, [tile])}
            entries |= {324: entries.pop(273), 325: entries.pop(279)}
            del entries[278]
        entries |= {} if photometric is None else {262: (SHORT, [photometric])}
        entries |= {tag: (SHORT, values) for tag, values in (tags or {}).items()}
        content = _page(content, entries, blobs, order, big, last=number == len(pages) - 1)
    path.write_bytes(content)
    return path


def _page(
    content: bytes,
    entries: dict[int, tuple[int, list[int]]],
    blobs: list[bytes],
    order: str,
    big: bool,
    last: bool,
) -> bytes:
    word, count, entry = ("Q", "Q", 20) if big else ("I", "H", 12)
    room = struct.calcsize(word)
    size = struct.calcsize("<" + count) + entry * len(entries) + room
    start = len(content) + size
    outside = sum(
        len(values) * WIDTHS[kind][0]
        for kind, values in entries.values()
        if len(values) * WIDTHS[kind][0] > room
    )
    places = np.cumsum([start + outside, *map(len, blobs)]).tolist()
    table, beyond = struct.pack(order + count, len(entries)), b""
    for tag, (kind, values) in sorted(entries.items()):
        given = places[:-1] if tag in (273, 324) else values
        raw = struct.pack(order + WIDTHS[kind][1] * len(given), *given)
        if len(raw) > room:
            beyond, raw = beyond + raw, struct.pack(order + word, start + len(beyond))
        table += struct.pack(order + "HH" + word, tag, kind, len(given)) + raw.ljust(room, b"\0")
    following = 0 if last else places[-1]
    return content + table + struct.pack(order + word, following) + beyond + b"".join(blobs)


def png(
    path: Path,
    values: np.ndarray,
    bits: int = 16,
    palette: np.ndarray | None = None,
    transparent: bytes = b"",
) -> Path:
    """Write (H, W[, C]) samples: grey, grey and alpha, RGB, RGBA, or indices of a palette."""
    deep = values if values.ndim == 3 else values[:, :, None]
    height, width, channels = deep.shape
    kind = 3 if palette is not None else {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = deep.reshape(height, -1)
    if bits < 8:
        lines = [packed(row[None], bits) for row in rows]
    else:
        lines = [row.astype(f">u{bits // 8}").tobytes() for row in rows]
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0))]
    if palette is not None:
        chunks.append((b"PLTE", palette.astype(np.uint8).tobytes()))
    if transparent:
        chunks.append((b"tRNS", transparent))
    chunks += [(b"IDAT", zlib.compress(b"".join(b"\0" + line for line in lines))), (b"IEND", b"")]
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
            for name, data in chunks
        )
    )
    return path
