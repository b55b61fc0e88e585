"""
What goes wrong on a command line, and how it is told.

A `Fault` ends the command: its text goes to standard error, its code becomes the exit
status. Nothing below `main` prints an error or leaves the process itself. The codes are
those of AWS CLI 1 and, behind the stroke, of AWS CLI 2 (awscli/constants.py).

    Fault                 255 / 255  an empty line, the text
    |-- InputFault        255 / 252  a value that is given cannot be right
    |-- SettingFault      255 / 253  a setting is missing, or cannot be right
    |   `-- PlainFault    255 / 253  the text alone, in the ways of version 1
    `-- UsageFault          2 / 252  the usage block, the text
"""

from __future__ import annotations

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


class Fault(Exception):
    """The command cannot be carried out."""

    exit_code = 255
    exit_code_v2 = 255
    version = 1  # of the AWS CLI, in whose ways it is told
    can_be_examined = False  # whether `doctor` looks at what may be behind it

    @property
    def status(self) -> int:
        """The exit status."""
        return self.exit_code if self.version == 1 else self.exit_code_v2

    def report(self) -> str:
        """The text for standard error."""
        return f"\n{self}\n"


class InputFault(Fault):
    """A value that is given cannot be right, whatever the service would say."""

    exit_code_v2 = 252


class SettingFault(Fault):
    """A setting is missing, or cannot be right."""

    exit_code_v2 = 253


class PlainFault(SettingFault):
    """As above; AWS: version 1 has no empty line in front of these texts."""

    can_be_examined = True  # these are about the region and the credentials

    def report(self) -> str:
        return f"{self}\n" if self.version == 1 else super().report()


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
