"""What documentation says in code: fenced blocks, the commands in them, and commands named in running text."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]
DOCS = sorted(f"docs/{file.name}" for file in ROOT.glob("docs/*.md"))
PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", *DOCS)

_COMMANDS = ("rtt ", "make ", "python -m ", "accelerate launch ", "torchrun ")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its page, its first line there, and its language."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """The commands of a shell block, lines that go on joined."""
        return [line for line in self.text.replace("\\\n", " ").splitlines() if line.strip()]


def blocks() -> list[Block]:
    """All fenced or indented blocks of all pages, in order."""
    found = []
    for page in PAGES:
        for token in MarkdownIt().parse((ROOT / page).read_text(encoding="utf-8")):
            if token.type in ("fence", "code_block"):
                assert token.map is not None
                found.append(Block(page, token.map[0] + 1, token.info, token.content))
    return found


def named_commands() -> Iterator[tuple[str, str]]:
    """The commands that running text and tables name as code, each with its page."""
    for page in PAGES:
        for token in MarkdownIt().enable("table").parse((ROOT / page).read_text(encoding="utf-8")):
            for part in token.children or ():
                if part.type == "code_inline" and part.content.startswith(_COMMANDS):
                    yield page, part.content


def words(command: str) -> list[str]:
    """A command's words as a shell reads them, without its comment, what it is piped into, and variables before it."""
    read = shlex.split(command, comments=True)
    read = read[: read.index("|")] if "|" in read else read
    first = next(place for place, word in enumerate(read) if not re.match(r"[A-Z_]+=", word))
    return read[first:]
