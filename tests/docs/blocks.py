"""
The blocks of code in the documents, and the commands that are in those of a shell.

A block of commands or of a program is run by a test, or has a comment before it that
no reader sees and that says why not: `<!-- not run by a test: it needs a network -->`.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from docs.site import MARKDOWN, ROOT, documents, tokens_of

MARK: Final = re.compile(r"<!--\s*not run by a test: (?P<why>.*?)\s*-->", re.DOTALL)
SHELLS: Final = ("sh", "console")
# Not what people paste: records of a day, notes beside code, what code writes.
PASSED_OVER: Final = ("docs/decisions/", "docs/reference/", "tests/", "CHANGELOG.md")
# Programs that start another one, whose words are the last of theirs.
STARTERS: Final = ("docker", "sudo", "uvx", "env", "timeout", "exec", "time", "kubectl")
# Of these, those that name things, too, and start a program with the word `exec`.
ENGINES: Final = ("docker", "kubectl")
# What pages take for given.
VARIABLES: Final = ("pool", "user", "identity", "token", "guest")


@dataclass(frozen=True)
class Block:
    """A block of a page: where it is, what it is in, and why no test runs it, if so."""

    page: str
    line: int
    language: str
    text: str
    not_run: str | None = None

    def __str__(self) -> str:
        """Name it as editors do."""
        return f"{self.page}:{self.line}"

    @property
    def is_shell(self) -> bool:
        """Whether it is for a shell."""
        return self.language in SHELLS

    @property
    def script(self) -> str:
        """The text as a shell takes it: behind prompts, if there are any."""
        if self.language != "console":
            return self.text
        lines = re.findall(r"^\$ (.*(?:\n> .*)*)", self.text, re.MULTILINE)
        return "".join(f"{each}\n" for each in lines).replace("\n> ", "\n")


def blocks_of(page: str, text: str) -> list[Block]:
    """List the blocks of a page."""
    found, mark = [], None
    for token in MARKDOWN.parse(text):
        if token.type == "fence":
            assert token.map is not None
            language = (token.info.split() or [""])[0]
            found.append(Block(page, token.map[0] + 1, language, token.content, mark))
        said = MARK.search(token.content) if token.type == "html_block" else None
        mark = said["why"] if said else None
    return found


def marks_in(text: str) -> int:
    """Count the comments that say why something is not run, well written or not."""
    comments = "".join(
        each.content for each in tokens_of(text) if each.type.startswith("html")
    )
    return len(re.findall(r"<!--\s*not\s+run", comments, re.IGNORECASE))


def pages() -> dict[str, str]:
    """Read the documents that people paste from."""
    named = {str(each.relative_to(ROOT)): each for each in documents()}
    return {
        name: path.read_text("utf-8")
        for name, path in named.items()
        if not name.startswith(PASSED_OVER)
    }


def all_blocks() -> list[Block]:
    """List the blocks of all of them."""
    return [each for page, text in pages().items() for each in blocks_of(page, text)]


def commands_in(block: Block, folder: Path) -> list[list[str]]:
    """
    List the commands of `millpond` and of the AWS CLI in a block, word by word.

    A shell reads the block, in a folder with no program in reach: what it would start
    it notes instead, so quotes, pipes and substitutions are what they are.
    """
    noted = folder / "noted"
    noted.write_bytes(b"")
    named = {
        each: "us-east-1:7c4f5e0a-2f0b-4b9e-9d8c-0a1b2c3d4e5f" for each in VARIABLES
    }
    script = re.sub(r"(?<![\w./$-])[\w./-]+/bin/(millpond|aws)\b", r"\1", block.script)
    subprocess.run(
        [
            "/bin/bash",
            "-c",
            'note() { printf "%s\\0" $# "$@" >> "$NOTED"; }\n'
            'command_not_found_handle() { note "$@"; echo given; }\n'
            'source() { :; }; .() { :; }; cd() { :; }; exec() { note "$@"; }\n'
            "wait() { :; }; sleep() { :; }; set() { :; }\n" + script,
        ],
        cwd=folder,
        env={**named, "PATH": str(folder / "nothing"), "NOTED": str(noted)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    words = noted.read_text("utf-8").split("\0")[:-1]
    found: list[list[str]] = []
    while words:
        count = int(words[0])
        found += _of_ours(words[1 : count + 1])
        del words[: count + 1]
    return found


def _of_ours(call: list[str]) -> list[list[str]]:
    if not call:
        return []
    if call[0] in ("millpond", "aws"):
        return [call]
    inside = call[0] not in ENGINES or "exec" in call
    if call[0] in STARTERS and inside and "millpond" in call:
        rest = call[len(call) - 1 - call[::-1].index("millpond") :]
        return [rest] if len(rest) > 1 else []
    return []


def syntax_fault(script: str) -> str:
    """Say what a shell finds wrong with a script before it runs."""
    read = subprocess.run(
        ["/bin/bash", "-n"], input=script, capture_output=True, text=True, check=False
    )
    return read.stderr.strip()
