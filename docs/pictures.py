"""
Draw the pictures of the concepts: SVG, readable in light and in dark, text as text.

`make docs` writes them into docs/images; `--check` says which are not up to date. A
text that would run out of its room is an error, by widths that few fonts exceed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

IMAGES: Final = Path(__file__).parent / "images"
WIDTH: Final = 760  # px, of every picture
MARGIN: Final = 6  # px, that a text keeps from the border of its room
LINE: Final = 18  # px, from one line of text to the next
SIZES: Final = {"title": 15, "text": 13, "small": 12}  # px
NARROW: Final = frozenset("ijlrtfI.,:;'|!()[]- ")
WIDE: Final = frozenset("mwMW@%")

FONTS: Final = (
    "system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif"
)
HEAD: Final = (
    '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
    'markerHeight="8" orient="auto"><path class="head" d="M0,0 L8,4 L0,8 z"/></marker>'
    "</defs>"
)
STYLE: Final = """
  .ground { fill: #ffffff }
  .line { stroke: #52606d; fill: none } .head { fill: #52606d }
  .title, .text { fill: #1f2933 } .small { fill: #52606d } .title { font-weight: 600 }
  .plain { fill: #eef4fb; stroke: #5b7fa6 } .good { fill: #e3f5e9; stroke: #3d8b5f }
  .apart { fill: #fdf0e0; stroke: #b7791f } .group { fill: none; stroke: #9aa9b8 }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #14181d } .line { stroke: #9fb1c1 } .head { fill: #9fb1c1 }
    .title, .text { fill: #e6edf3 } .small { fill: #9fb1c1 }
    .plain { fill: #1d2a38; stroke: #6f9fd0 } .good { fill: #16301f; stroke: #63b583 }
    .apart { fill: #3a2a12; stroke: #d9a441 } .group { stroke: #55636f }
  }"""


@dataclass(frozen=True)
class Text:
    """A line of text and the room that it has, from left to right, in px."""

    words: str
    style: str
    left: float
    right: float

    @property
    def width(self) -> float:
        """How wide it is at most, in px."""
        ems = sum(map(_ems, self.words))
        return ems * SIZES[self.style] * (1.08 if self.style == "title" else 1)


def _ems(character: str) -> float:
    """Say how wide a character is at most, in ems."""
    if character in NARROW:
        return 0.42
    if character in WIDE:
        return 0.98
    return 0.7 if character.isupper() else 0.63


class Picture:
    """What is drawn, from the back to the front."""

    def __init__(self, title: str, description: str, height: int) -> None:
        self.title = title
        self.description = description
        self.height = height
        self.texts: list[Text] = []
        self._parts: list[str] = []

    def write(
        self,
        x: float,
        y: float,
        words: str,
        room: float,
        style: str = "text",
        anchor: str = "middle",
    ) -> None:
        """Write a line at the baseline `y`; `room` is the width that it may take."""
        left = x - 2 if anchor == "start" else x - room / 2
        text = Text(words, style, left, left + room)
        if text.width > room:
            raise ValueError(
                f"{self.title}: {words!r} needs {text.width:.0f} of {room:.0f} px"
            )
        self.texts.append(text)
        self._parts.append(
            f'<text class="{style}" x="{x:g}" y="{y:g}" text-anchor="{anchor}" '
            f'font-size="{SIZES[style]}">{escape(words)}</text>'
        )

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        lines: Sequence[str] = (),
        kind: str = "plain",
    ) -> None:
        """Draw a box with its lines in the middle, the first of them as its title."""
        self._parts.append(
            f'<rect class="{kind}" x="{x:g}" y="{y:g}" '
            f'width="{width:g}" height="{height:g}" rx="6"/>'
        )
        first = y + height / 2 - LINE * (len(lines) - 1) / 2 + 5
        for number, words in enumerate(lines):
            style = "small" if number else "title"
            self.write(
                x + width / 2, first + number * LINE, words, width - 2 * MARGIN, style
            )

    def group(
        self, x: float, y: float, width: float, height: float, words: str
    ) -> None:
        """Draw a frame around things, with a name at its top left."""
        self.box(x, y, width, height, kind="group")
        self.write(x + 10, y + 19, words, width - 20, "small", "start")

    def line(
        self, *points: tuple[float, float], arrow: bool = True, dashed: bool = False
    ) -> None:
        """Draw a line through points, with a head at its end."""
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        more = ' marker-end="url(#head)"' if arrow else ""
        more += ' stroke-dasharray="5 4"' if dashed else ""
        self._parts.append(f'<polyline class="line" points="{path}"{more}/>')

    def svg(self) -> str:
        """Give the file."""
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{WIDTH}" '
                f'height="{self.height}" viewBox="0 0 {WIDTH} {self.height}" '
                f'aria-labelledby="title desc" font-family="{FONTS}">',
                f'<title id="title">{escape(self.title)}</title>',
                f'<desc id="desc">{escape(self.description)}</desc>',
                f"<style>{STYLE}\n</style>",
                HEAD,
                f'<rect class="ground" width="{WIDTH}" height="{self.height}" rx="8"/>',
                *self._parts,
                "</svg>\n",
            ]
        )


class Exchange(Picture):
    """What parties tell each other, from top to bottom."""

    STEP: Final = 44  # px, from one message to the next

    def __init__(
        self, title: str, description: str, parties: Sequence[str], steps: int
    ) -> None:
        super().__init__(title, description, 92 + steps * self.STEP)
        space = WIDTH / len(parties)
        self._at = {name: space * (number + 0.5) for number, name in enumerate(parties)}
        self._y = 84.0
        for name, x in self._at.items():
            self.line((x, 52), (x, self.height - 14), arrow=False, dashed=True)
            self.box(x - 80, 16, 160, 36, [name])

    def tell(
        self, sender: str, receiver: str, words: str, answer: bool = False
    ) -> None:
        """One party tells another something."""
        start, end = self._at[sender], self._at[receiver]
        inset = 4 if end > start else -4
        self.write((start + end) / 2, self._y, words, abs(end - start) - 8)
        self.line(
            (start + inset, self._y + 8), (end - inset, self._y + 8), dashed=answer
        )
        self._y += self.STEP

    def does(self, party: str, *lines: str, kind: str = "good") -> None:
        """A party does something by itself."""
        height = 12 + LINE * len(lines)
        self.box(self._at[party] - 124, self._y - 20, 248, height, lines, kind)
        self._y += max(self.STEP, height + 16)


def sync() -> Picture:
    """A change on its way from one device to another."""
    picture = Exchange(
        "The way of a sync",
        "A phone sets a record while offline. It lists what is new, updates with the "
        "token of that listing, and is answered the new sync count. The server tells "
        "the laptop, which lists what is above the count that it knows.",
        ["phone", "Millpond", "laptop"],
        11,
    )
    picture.does("phone", "colour = teal", "on its disk, also offline")
    picture.tell("phone", "Millpond", "ListRecords above 1")
    picture.tell("Millpond", "phone", "nothing new, and a token", answer=True)
    picture.tell("phone", "Millpond", "UpdateRecords: teal, token")
    picture.does(
        "Millpond", "prefs is at sync count 2", "on disk, with what the stream gets"
    )
    picture.tell("Millpond", "phone", "colour is at 2", answer=True)
    picture.tell("Millpond", "laptop", "live update: prefs is at 2")
    picture.tell("laptop", "Millpond", "ListRecords above 1")
    picture.tell("Millpond", "laptop", "colour = teal, at 2", answer=True)
    picture.does("laptop", "colour = teal", "both know count 2")
    return picture


def conflict() -> Picture:
    """Two devices that changed one record."""
    picture = Exchange(
        "When both changed a record",
        "Phone and laptop know the record size at sync count 4. The laptop's update "
        "comes first and makes it 5. The phone's update names count 4 and is refused "
        "whole with 409. The phone lists, merges the two values, and updates again, "
        "naming count 5.",
        ["phone", "Millpond", "laptop"],
        11,
    )
    picture.does("Millpond", "size is at 4", "both devices know that", kind="plain")
    picture.tell("laptop", "Millpond", "size = 8, known at 4")
    picture.tell("Millpond", "laptop", "size is at 5", answer=True)
    picture.tell("phone", "Millpond", "size = 9, known at 4")
    picture.tell("Millpond", "phone", "409, nothing is written", answer=True)
    picture.tell("phone", "Millpond", "ListRecords above 4")
    picture.tell("Millpond", "phone", "size = 8, at 5", answer=True)
    picture.does("phone", "the app merges 8 and 9", "by the newest or its own rule")
    picture.tell("phone", "Millpond", "size = 9, known at 5")
    picture.tell("Millpond", "phone", "size is at 6", answer=True)
    return picture


def merge() -> Picture:
    """Two identities that turn out to be one person."""
    picture = Picture(
        "A merge of two identities",
        "A guest has the datasets prefs and save; an account has prefs. The guest "
        "shows a login of the account. Afterwards the account has its prefs, the "
        "guest's save under its own name, and the guest's prefs beside its own as "
        "prefs.GUEST. The guest is disabled and points to the account.",
        350,
    )
    picture.group(20, 20, 280, 142, "before: a guest")
    picture.box(40, 52, 115, 50, ["prefs", "at count 3"])
    picture.box(165, 52, 115, 50, ["save", "at count 5"])
    picture.write(160, 136, "shows a login of the account", 260, "text")
    picture.group(20, 190, 280, 140, "before: an account")
    picture.box(40, 222, 115, 50, ["prefs", "at count 7"])
    picture.write(160, 306, "has that login", 260, "text")
    picture.line((300, 92), (350, 92), (350, 175), (398, 175))
    picture.line((300, 260), (350, 260), (350, 175), (398, 175))
    picture.group(400, 20, 340, 228, "after: the account, in one transaction")
    picture.box(420, 52, 145, 50, ["prefs", "its own, at 7"])
    picture.box(575, 52, 145, 50, ["save", "the guest's, at 5"], "good")
    picture.box(
        420, 116, 300, 50, ["prefs.GUEST", "the guest's, at 3, beside its own"], "apart"
    )
    picture.write(570, 196, "MergedDatasetNames of prefs tells of it;", 320, "small")
    picture.write(570, 218, "the app takes what it wants and deletes it.", 320, "small")
    picture.box(
        400,
        270,
        340,
        60,
        ["the guest is disabled", "whoever presents it is told the account"],
        "apart",
    )
    return picture


def publish() -> Picture:
    """A bulk publish, beside live changes."""
    picture = Picture(
        "A bulk publish",
        "The identities of a pool are cut into slices. Workers read a slice page by "
        "page, send one stream record for each dataset, and note a checkpoint when "
        "the stream has acknowledged a batch. Live changes reach the stream through "
        "the outbox meanwhile. When every slice is done, the run has SUCCEEDED.",
        350,
    )
    picture.group(20, 20, 200, 250, "the pool, in slices")
    for number, (state, kind) in enumerate(
        [("done", "good"), ("at a checkpoint", "plain"), ("waiting", "apart")]
    ):
        picture.box(40, 50 + number * 70, 160, 56, [f"slice {number + 1}", state], kind)
    picture.box(290, 110, 160, 76, ["workers", "read page by page,", "of any server"])
    picture.box(
        560, 96, 180, 104, ["the stream", "embedded, Kinesis,", "NATS, Kafka, files"]
    )
    picture.line((200, 148), (288, 148))
    picture.line((450, 130), (558, 130))
    picture.write(504, 120, "datasets", 96, "small")
    picture.line((560, 166), (452, 166), dashed=True)
    picture.write(506, 186, "stored", 96, "small")
    picture.line((370, 186), (370, 238), (222, 238), dashed=True)
    picture.write(296, 229, "checkpoint", 140, "small")
    picture.line((120, 270), (120, 284))
    picture.box(290, 276, 160, 54, ["outbox", "live changes"], "plain")
    picture.line((450, 303), (650, 303), (650, 202))
    picture.box(20, 286, 200, 44, ["all done: SUCCEEDED"], "good")
    picture.write(555, 322, "in order for each identity", 200, "small")
    return picture


def fleet() -> Picture:
    """Several servers of one database."""
    picture = Picture(
        "The fleet",
        "Devices speak TLS to a load balancer, which hands each request to any node. "
        "All nodes share one PostgreSQL database and one secret key. Each may send "
        "changes to streams and pushes to phones. Prometheus asks each node for its "
        "metrics.",
        390,
    )
    picture.box(20, 24, 220, 52, ["apps and SDKs", "on devices, in browsers"])
    picture.box(20, 124, 220, 52, ["load balancer", "any request to any node"])
    picture.line((130, 76), (130, 122))
    picture.write(138, 104, "TLS", 60, "small", "start")
    picture.group(290, 20, 200, 260, "nodes, with one secret key")
    for number in range(3):
        y = 52 + number * 76
        picture.box(310, y, 160, 52, [f"node {number + 1}", "millpond serve"])
        picture.line((240, 150), (308, y + 26))
    picture.box(
        290, 316, 200, 52, ["PostgreSQL", "all data, and who does what"], "good"
    )
    picture.line((390, 280), (390, 314))
    picture.box(560, 24, 180, 64, ["streams", "Kinesis, NATS, Kafka"])
    picture.box(560, 118, 180, 64, ["pushes", "through Amazon SNS"])
    picture.box(560, 212, 180, 64, ["Prometheus", "alerts, dashboard"])
    picture.line((490, 56), (558, 56))
    picture.line((490, 150), (558, 150))
    picture.line((560, 244), (492, 244))
    picture.box(560, 316, 180, 52, ["replica, backups", "by PostgreSQL's tools"])
    picture.line((490, 342), (558, 342))
    picture.box(
        20,
        228,
        220,
        140,
        [
            "when a node dies",
            "the others take over",
            "its outbox, its pushes,",
            "its slices of a run",
            "within ten seconds",
        ],
        "apart",
    )
    return picture


PICTURES: Final[dict[str, Callable[[], Picture]]] = {
    "sync": sync,
    "conflict": conflict,
    "merge": merge,
    "publish": publish,
    "fleet": fleet,
}


def main(words: Sequence[str]) -> int:
    """Write the pictures, or check them."""
    stale = []
    for name, draw in PICTURES.items():
        file = IMAGES / f"{name}.svg"
        drawn = draw().svg()
        if not file.exists() or file.read_text("utf-8") != drawn:
            stale.append(file.name)
            if "--check" not in words:
                file.write_text(drawn, "utf-8")
    if stale and "--check" in words:
        print(f"run make docs: {', '.join(stale)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
