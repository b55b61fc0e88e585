"""
What goes wrong before and around a call, and how a command line tells it.

Nothing here prints or ends a process; who called does. The codes are the exit statuses
of AWS CLI 1 and, behind the stroke, of AWS CLI 2 (awscli/constants.py).

    Fault                 255 / 255  an empty line, the text
    |-- InputFault        255 / 252  a value that is given cannot be right
    `-- SettingFault      255 / 253  a setting is missing, or cannot be right
        `-- PlainFault    255 / 253  the text alone, in the ways of version 1
"""

from __future__ import annotations


class Fault(Exception):
    """What was asked for cannot be carried out."""

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
