"""
`millpond completion bash|zsh|fish`: print what makes a shell complete our commands.

The script is small and stays the same; at every press of the key it asks this module
for words, which are derived from the models of the APIs (`words`) and from a table of
our own commands (`local`). Asking must take no longer than a key press does, so nothing
is loaded here that a plain call does not load.

    source <(millpond completion bash)                # in ~/.bashrc
    source <(millpond completion zsh)                 # in ~/.zshrc, after compinit
    millpond completion fish | source                 # in ~/.config/fish/config.fish
"""

from __future__ import annotations

import argparse
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

SHELLS: Final = ("bash", "zsh", "fish")

# What the scripts ask: for the words of a line of bash, or after some words.
LINE: Final = "--line"
WORDS: Final = "--words"


def main(argv: list[str]) -> int:
    """Run `millpond completion`."""
    if argv[:1] == [WORDS]:
        _answer_words(argv[1:])
    elif argv[:1] == [LINE] and len(argv) == 3:
        _answer_line(argv[2], breaks=argv[1])
    else:
        shell = make_parser().parse_args(argv).shell
        sys.stdout.write(script(shell))
    return 0


def script(shell: str) -> str:
    """The script for a shell."""
    path = os.path.join(os.path.dirname(__file__), f"millpond.{shell}")
    with open(path, encoding="utf-8") as file:
        return file.read()


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command."""
    parser = argparse.ArgumentParser(
        prog="millpond completion",
        description="Print a script that makes a shell complete our commands, options "
        "and values. To use it: source <(millpond completion bash), the same with zsh, "
        "or millpond completion fish | source.",
        allow_abbrev=False,
    )
    parser.add_argument("shell", choices=SHELLS, metavar="bash|zsh|fish")
    return parser


def _answer_words(typed: list[str]) -> None:
    """Print the words that may stand in place of the last one, and what they are."""
    from millpond.cli.completion import words

    for each in words.propose(typed or [""]):
        sys.stdout.write(f"{each.text}\t{each.about}\n")


def _answer_line(line: str, *, breaks: str) -> None:
    """Print what may replace the end of a line, in the way of bash."""
    from millpond.cli.completion import bash_line, words

    typed = bash_line.split(line, breaks=breaks)
    for each in words.propose([*typed.before, typed.current]):
        sys.stdout.write(f"{typed.spell(each.text)}\n")
