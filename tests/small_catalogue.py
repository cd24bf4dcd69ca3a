"""Small gettext catalogues, for tests of what reads them."""

import struct
from pathlib import Path

HEADER = "Content-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=2; plural=(n != 1);\n"


def binary(messages: dict[str, str], header: str = HEADER, order: str = "<", charset: str = "utf-8") -> bytes:
    """A `.mo` file; a plural message is "one\\0many", a context is "context\\4message"."""
    entries = sorted(({"": header} | messages).items())
    texts = [[text.encode(charset) for text in side] for side in zip(*entries, strict=True)]
    start, place, tables, content = 28, 28 + 16 * len(entries), b"", b""
    for side in texts:
        for text in side:
            tables += struct.pack(f"{order}II", len(text), place + len(content))
            content += text + b"\0"
    second = start + 8 * len(entries)
    head = struct.pack(f"{order}7I", 0x950412DE, 0, len(entries), start, second, 0, start)
    return head + tables + content


def put_catalogue(folder: Path, language: str, name: str, content: bytes) -> Path:
    path = folder / language / "LC_MESSAGES" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
