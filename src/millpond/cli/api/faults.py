"""
What goes wrong on a command line, and how it is told.

A `Fault` ends the command: its text goes to standard error, its code becomes the exit
status. Nothing below `main` prints an error or leaves the process itself. The faults of
a call, and the codes of all, stand in `client.api.faults`; here is the one that only a
command line has:

    Fault
    `-- UsageFault          2 / 252  the usage block, the text
"""

from __future__ import annotations

from millpond.client.api.faults import Fault

PROGRAM = "millpond"
_LINE_END = "\n"

# AWS: the same block, with a notice about another version in front, which we leave out.
USAGE = f"""\
usage: {PROGRAM} [options] <command> <subcommand> [<subcommand> ...] [parameters]
To see help text, you can run:

  {PROGRAM} help
  {PROGRAM} <command> help
  {PROGRAM} <command> <subcommand> help
"""


class UsageFault(Fault):
    """The command line itself cannot be understood."""

    exit_code_v2 = 252

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
        if self.version == 1:
            return f"{USAGE}{self}"
        return f"\n{USAGE}\n{str(self).strip(_LINE_END)}\n\n"
