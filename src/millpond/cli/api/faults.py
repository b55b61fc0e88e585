"""
What goes wrong on a command line, and how it is told.

A `Fault` ends the command: its text goes to standard error, its code becomes the exit
status. Nothing below `main` prints an error or leaves the process itself.

    Fault                 255  an empty line, the text
    |-- PlainFault        255  the text alone
    `-- UsageFault          2  the usage block, the text
"""

from __future__ import annotations

PROGRAM = "millpond"

# AWS: the same block, with a notice about another version in front, which we leave out.
USAGE = f"""\
usage: {PROGRAM} [options] <command> <subcommand> [<subcommand> ...] [parameters]
To see help text, you can run:

  {PROGRAM} help
  {PROGRAM} <command> help
  {PROGRAM} <command> <subcommand> help
"""


class Fault(Exception):
    """The command cannot be carried out."""

    exit_code = 255

    def report(self) -> str:
        """The text for standard error."""
        return f"\n{self}\n"


class PlainFault(Fault):
    """As above; AWS: these texts have no empty line in front."""

    def report(self) -> str:
        return f"{self}\n"


class UsageFault(Fault):
    """The command line itself cannot be understood."""

    def __init__(self, message: str, *, exit_code: int = 2) -> None:
        super().__init__(message)
        self.exit_code = exit_code

    @classmethod
    def unknown_options(cls, words: list[str], proposals: str = "") -> UsageFault:
        """Refuse words that no parser knows. AWS: 255, not the parser's 2."""
        listed = ", ".join(words)
        return cls(f"\nUnknown options: {listed}\n{proposals}", exit_code=255)

    @classmethod
    def from_parser(cls, message: str) -> UsageFault:
        """Refuse what the argument parser refused."""
        return cls(f"{PROGRAM}: error: {message}\n\n")

    def report(self) -> str:
        return f"{USAGE}{self}"
