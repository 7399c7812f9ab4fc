"""Bytes of a log file: opened, decompressed, decoded; damage is said, what is good before it kept.

Compression is told by the first bytes, never by the name alone, so that a renamed file works.
"""

from __future__ import annotations

import codecs
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from bowtie.errors import FileError

__all__ = ["Source", "check_file", "open_source", "text_blocks"]

Read = Callable[[int], bytes]

_BLOCK = 1 << 20
#: zstandard's decompressor can't bound its output; a small input does (128 KiB for each 4 bytes).
_ZSTD_BLOCK = 4096
_OUTPUT = 4 << 20
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
#: So much of a text tells whether it is one.
_HEAD = 8192
#: What files of another kind begin with, and what to do with such a file.
_KINDS = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"%PDF-": "a PDF document",
    b"PK\x03\x04": "a ZIP archive or an Excel workbook: unpack it, or save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook: save the sheet as CSV",
    b"SQLite format 3": "a SQLite database: a store is named by --store",
    b"BZh": "bzip2 data: unpack it",
    b"\xfd7zXZ": "xz data: unpack it",
}
#: Bytes that no text has: control characters, but for the tab, line and page ends and escapes.
_NO_TEXT = bytes(byte for byte in range(32) if byte not in b"\t\n\v\f\r\x1b")
_TRUNCATED = "ends in the middle of compressed data"


@dataclass(slots=True)
class Source:
    """An opened file or stream: its first bytes can be looked at before it is read.

    ``consumed`` counts the bytes read of the file as it is stored, for a progress bar against
    ``size`` (None where it can't be known, as of a pipe).
    """

    name: str
    raw: BinaryIO
    owned: bool
    size: int | None = None
    consumed: int = 0
    _head: bytes = b""

    def peek(self, length: int = 512) -> bytes:
        """The first bytes, which the next read returns again."""
        while len(self._head) < length and (more := self._next(length - len(self._head))):
            self._head += more
        return self._head

    def read(self, length: int) -> bytes:
        """Up to ``length`` bytes; empty only at the end."""
        if self._head:
            data, self._head = self._head, b""
        else:
            data = self._next(length)
        self.consumed += len(data)
        return data

    def _next(self, length: int) -> bytes:
        try:
            return self.raw.read(length)
        except OSError as error:
            raise FileError(self.name, f"can't be read: {_reason(error)}") from None

    @property
    def compression(self) -> str | None:
        """``gzip``, ``zstd`` or None, by the first bytes."""
        head = self.peek()
        if head.startswith(_GZIP):
            return "gzip"
        skippable = head[1:4] == b"\x2a\x4d\x18" and 0x50 <= head[0] <= 0x5F
        return "zstd" if skippable or head.startswith(_ZSTD) else None

    def blocks(self) -> Iterator[bytes]:
        """The content, decompressed.

        Raises:
            FileError: the compressed data is damaged or ends too early; what is good came before.
        """
        head, kind = self.peek(), self.compression
        if kind == "gzip":
            yield from _gunzip(self.read, self.name)
        elif kind == "zstd":
            yield from _unzstd(self.read, self.name)
        elif head and self.name.endswith((".gz", ".zst")) and not _is_text(head):
            raise FileError(
                self.name, "is not compressed as its name says, and no text either: fetch it again"
            )
        else:
            while data := self.read(_BLOCK):
                yield data

    def close(self) -> None:
        """Close what was opened here; a stream of the caller's stays open."""
        if self.owned:
            self.raw.close()


def open_source(source: str | os.PathLike[str] | BinaryIO) -> Source:
    """Open a path, ``-`` (standard input) or a binary stream.

    Raises:
        FileError: a folder, no such file, no permission; says what to do.
    """
    if not isinstance(source, str | os.PathLike):
        return Source(str(getattr(source, "name", "stream")), source, owned=False)
    if source == "-":
        if cast("object", sys.stdin) is None:  # so Python has it where it was closed
            raise FileError("standard input", "is closed: name a file instead of -")
        return Source("standard input", sys.stdin.buffer, owned=False)
    path = Path(source)
    try:
        if path.is_dir():
            raise FileError(str(path), "is a folder: name the files in it, such as FOLDER/*.jsonl")
        raw = path.open("rb")
    except FileError:
        raise
    except OSError as error:
        raise FileError(str(path), _cannot_open(error)) from None
    size = os.fstat(raw.fileno()).st_size if path.is_file() else None
    return Source(str(path), raw, owned=True, size=size)


def check_file(path: str | os.PathLike[str]) -> None:
    """Refuse a file that can't be a log, by its first bytes, before anything is done for it.

    Of compressed data only what is in it can tell.

    Raises:
        FileError: it can't be opened, or is neither text nor Parquet nor compressed.
    """
    source = open_source(path)
    try:
        head = source.peek(_HEAD)
        if source.compression is None and not head.startswith(b"PAR1"):
            _refuse_binary(head, source.name)
    finally:
        source.close()


def _cannot_open(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file: check the name and the folder"
    if isinstance(error, PermissionError):
        return "no permission to read it: ask its owner, or copy it to a folder of yours"
    return f"can't be opened: {_reason(error)}"


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _is_text(head: bytes) -> bool:
    return not any(byte < 9 for byte in head)


def _gunzip(read: Read, name: str) -> Iterator[bytes]:
    """All members of a gzip file, one after the other."""
    unzip, begun, first = zlib.decompressobj(wbits=31), False, True
    while data := read(_BLOCK):
        while data:
            if not begun and not first:  # some writers pad with zeros after a member
                data = data.lstrip(b"\0")
                if not data:
                    break
            begun = True
            try:
                out = unzip.decompress(data, _OUTPUT)
            except zlib.error as error:
                raise FileError(name, f"is damaged gzip data ({error})") from None
            if out:
                yield out
            if unzip.eof:
                data, unzip = unzip.unused_data, zlib.decompressobj(wbits=31)
                begun = first = False
            else:
                data = unzip.unconsumed_tail
    if begun:
        yield unzip.flush()
        raise FileError(name, _TRUNCATED)


def _unzstd(read: Read, name: str) -> Iterator[bytes]:
    """All frames of a zstandard file; its own reader is silent about a missing end."""
    import zstandard

    unzip, begun = zstandard.ZstdDecompressor().decompressobj(), False
    while data := read(_BLOCK):
        view = memoryview(data)
        for start in range(0, len(data), _ZSTD_BLOCK):
            rest = bytes(view[start : start + _ZSTD_BLOCK])
            while rest:
                begun = True
                try:
                    out = unzip.decompress(rest)
                except zstandard.ZstdError as error:
                    raise FileError(name, f"is damaged zstandard data ({error})") from None
                for begin in range(0, len(out), _OUTPUT):
                    yield out[begin : begin + _OUTPUT]
                if not unzip.eof:
                    break
                rest, unzip = unzip.unused_data, zstandard.ZstdDecompressor().decompressobj()
                begun = False
    if begun:
        raise FileError(name, _TRUNCATED)


def text_blocks(source: Source, encoding: str | None = None) -> Iterator[bytes]:
    """The content as UTF-8 without its byte order mark.

    Without ``encoding`` the bytes pass as they are: a line that is not UTF-8 is the reader's to
    refuse, by itself. With one, the text is transcoded; bytes that it doesn't know stay as they
    are, and so become such a line too.

    Raises:
        FileError: UTF-16 or UTF-32 without an ``encoding`` that says so; or no text at all.
    """
    blocks = source.blocks()
    if encoding is not None and codecs.lookup(encoding).name not in ("utf-8", "utf-8-sig"):
        blocks = _transcoded(blocks, encoding)
    first = True
    for block in blocks:
        if first and block:
            first = False
            _refuse_wide(block, source.name)
            _refuse_binary(block[:_HEAD], source.name)
            yield block.removeprefix(codecs.BOM_UTF8)
        else:
            yield block


def _refuse_wide(head: bytes, name: str) -> None:
    """Refuse text of two or four bytes a character, and what begins with zeros."""
    begin = head[:4]
    if begin.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)) or begin.count(0) == 3:
        wide = "UTF-32"
    elif begin[:2] == b"\0\0":
        raise FileError(name, "begins with zero bytes: it is damaged, fetch it again", 1)
    elif begin.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or 0 in begin[:2]:
        wide = "UTF-16"
    else:
        return
    raise FileError(
        name, f"is {wide} text, not UTF-8: save it as UTF-8 (iconv -f {wide} -t UTF-8)", 1
    )


def _refuse_binary(head: bytes, name: str) -> None:
    """Refuse what is no text: such a file is wrong as a whole, not line by line.

    It begins as files of another kind do, or more than half of its beginning is in lines with
    bytes that no text has. A damaged line or two, or text in another encoding, is text.
    """
    kind = next((kind for begin, kind in _KINDS.items() if head.startswith(begin)), None)
    if kind is None:
        lines = head.split(b"\n")
        strange = sum(
            len(line) for line in lines if len(line.translate(None, _NO_TEXT)) < len(line)
        )
        if 2 * strange <= len(head):
            return
        kind = "no text"
    raise FileError(name, f"is {kind}; a log is JSON lines, CSV or Parquet, plain, .gz or .zst")


def _transcoded(blocks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("surrogateescape")
    for block in blocks:
        yield decoder.decode(block).encode("utf-8", "surrogateescape")
    yield decoder.decode(b"", final=True).encode("utf-8", "surrogateescape")
