"""What `make changelog`, `make version` and `make release` do, on a small copy."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

import millpond
from releasing.checkout import COPIED, ROOT, Checkout

NAME: Final = re.compile(
    r"(?:[a-z0-9-]+\.(?:added|changed|fixed|removed|security)|[0-9.]+\.intro)\.md"
)


def versions(file: Path) -> list[str]:
    """Read what a file says of versions like ours."""
    return re.findall(r"9\.8\.7", file.read_text("utf-8"))


def test_every_place_says_the_version() -> None:
    """Packages, images and pages have that of `src/millpond/__init__.py`."""
    done = subprocess.run(
        [sys.executable, ROOT / "release/versions.py"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(f"places say {millpond.__version__}.\n")


def test_a_version_is_written_everywhere(checkout: Checkout) -> None:
    """One command sets it; what has a version of its own keeps that."""
    before = checkout.read("clients/js/package-lock.json")
    checkout.write("Chart.yaml", "apiVersion: v2\nversion: 0.0.1\nappVersion: '0.0.1'")
    page = "pip install 'millpond[nats]==0.0.1'  # or millpond-0.0.1.tar.gz\n"
    page += "uvx millpond@0.0.1, npm install @millpond/sync@0.0.1\n"
    page += "uses: millpond/millpond@v0.0.1\n"
    checkout.write("page.md", f"{page}image: registry.example.com/millpond:0.0.1\n")

    done = checkout.run("release/versions.py", "--set", "9.8.7")

    assert (done.returncode, done.stderr) == (0, "")
    counts = {name: len(versions(checkout.folder / name)) for name in COPIED[4:-1]}
    assert counts.pop("clients/js/package-lock.json") == 4
    assert counts.pop("clients/js/cognito-js-compat/package.json") == 2
    assert counts.pop("changelog.d/README.md") == 0
    assert counts.pop("src/millpond/py.typed") == 0
    assert set(counts.values()) == {1}
    assert len(versions(checkout.folder / "examples/testing-js/package.json")) == 2
    assert len(versions(checkout.folder / "Chart.yaml")) == 2
    assert len(versions(checkout.folder / "page.md")) == 6
    after = checkout.read("clients/js/package-lock.json")
    assert after.replace('"9.8.7"', f'"{millpond.__version__}"') == before


def test_what_is_no_version_is_written_nowhere(checkout: Checkout) -> None:
    """It is refused, and all stays as it is."""
    for words in ("1.2", "v1.2.3", "1.2.3-beta", "1.2.3rc1", "1.2.3\n"):
        done = checkout.run("release/versions.py", "--set", words)

        assert done.returncode == 2
        assert "no version such as" in done.stderr

    assert checkout.release("tree", "versions").returncode == 0


def test_a_place_that_was_forgotten_is_named(checkout: Checkout) -> None:
    """With its line, and what to do."""
    checkout.write("page.md", "Install it:\n\n    pip install millpond==0.0.1\n")

    done = checkout.release("versions")

    assert done.returncode == 1
    assert "page.md:3 says 0.0.1" in done.stdout
    assert "make version" in done.stdout


def test_fragments_have_names_that_are_known() -> None:
    """`make changelog` would leave others behind, or out."""
    names = [each.name for each in (ROOT / "changelog.d").iterdir()]

    assert [each for each in names if not NAME.fullmatch(each)] == ["README.md"]


def test_a_fragment_can_stand_in_a_list() -> None:
    """It says something, in paragraphs or in a list, without a heading of its own."""
    for fragment in (ROOT / "changelog.d").glob("*.*.md"):
        text = fragment.read_text("utf-8")

        assert text.strip(), fragment.name
        assert not re.search(r"(?m)^#", text), fragment.name
        if text.startswith(("* ", "- ")):
            assert not re.search(r"\n\n(?![*-] )", text.strip()), fragment.name


def test_the_changelog_is_gathered(checkout: Checkout) -> None:
    """By kind, then by topic, lists as lists; the releases of before stay below."""
    head = (ROOT / "CHANGELOG.md").read_text("utf-8").partition("## ")[0]
    head = head.rstrip() + "\n"
    checkout.write("CHANGELOG.md", head)
    checkout.write(
        "changelog.d/1.0.0.intro.md", "The first one.\n\nIn two paragraphs.\n"
    )
    checkout.fragments(
        zebra__added="Stripes,\non two lines.\n",
        apples__added="- One.\n- Two,\n  on two lines.\n",
        moths__fixed="Several:\n\n* this;\n* that.\n",
        locks__security="Closed.\n",
    )
    checkout.commit()

    assert checkout.changelog("1.0.0", "2026-01-02").returncode == 0
    first = checkout.read("CHANGELOG.md")
    checkout.commit()
    checkout.fragments(bread__removed="Crumbs.\n")
    checkout.commit()
    assert checkout.changelog("1.1.0", "2026-02-03").returncode == 0

    assert head.endswith("<!-- releases -->\n")
    assert first.rstrip() == (
        f"{head}\n## 1.0.0 - 2026-01-02\n\n"
        "The first one.\n\nIn two paragraphs.\n\n"
        "### Added\n\n"
        "* One.\n* Two,\n  on two lines.\n* Stripes,\n  on two lines.\n\n"
        "### Fixed\n\n"
        "* Several:\n\n  * this;\n  * that.\n\n"
        "### Security\n\n"
        "* Closed."
    )
    assert [each.name for each in (checkout.folder / "changelog.d").iterdir()] == [
        "README.md"
    ]
    later = checkout.read("CHANGELOG.md")
    new = "## 1.1.0 - 2026-02-03\n\n### Removed\n\n* Crumbs."
    assert later.startswith(f"{head}\n{new}\n")
    assert later.endswith(first.removeprefix(head).lstrip())


def test_a_section_is_made_once(checkout: Checkout) -> None:
    """Where it is there, or nothing waits, nothing is changed."""
    assert checkout.changelog("1.0.0", "2026-01-02").returncode == 1  # nothing waits
    checkout.fragments(first__added="One.\n")
    checkout.commit()
    assert checkout.changelog("1.0.0", "2026-01-02").returncode == 0
    checkout.fragments(late__added="Two.\n")
    checkout.commit()
    before = checkout.read("CHANGELOG.md")

    again = checkout.changelog("1.0.0", "2026-01-03")

    assert again.returncode == 1
    assert "has a section of 1.0.0" in again.stderr
    assert checkout.read("CHANGELOG.md") == before
    assert (checkout.folder / "changelog.d/late.added.md").exists()


def test_many_entries_stand_under_parts(checkout: Checkout) -> None:
    """The first word of a topic says which; of what is not known, the first part."""
    topics = ["aa", "console_x", "cli_y", "client_z", "zz"]
    checkout.fragments(**{f"{each}__added": f"Of {each}.\n" for each in topics})
    checkout.fragments(**{f"zz{n}__added": f"More {n}.\n" for n in range(6)})

    assert checkout.changelog("1.0.0", "2026-01-02").returncode == 0

    parts = re.findall(r"(?m)^#### (.*)\n\n\* (.*)", checkout.read("CHANGELOG.md"))
    assert parts == [
        ("The server", "Of aa."),
        ("The command line", "Of cli_y."),
        ("The console", "Of console_x."),
        ("Clients", "Of client_z."),
    ]


def test_a_release_says_at_once_what_is_wrong(checkout: Checkout) -> None:
    """All that is quickly found; and nothing is built."""
    checkout.fragments(waits__added="Something.\n")
    checkout.commit()
    checkout.git("tag", f"v{millpond.__version__}")
    checkout.write("README.md", "Changed.\n")

    done = checkout.release("tree", "tag", "versions", "changelog", "build")

    assert done.returncode == 1
    assert re.findall(r"(?m)^(\w+) +FAILED", done.stdout) == [
        "tree",
        "tag",
        "changelog",
    ]
    assert "README.md" in done.stdout
    assert "waits.added.md" in done.stdout
    assert "Not ready: tree, tag, changelog." in done.stderr
    assert not (checkout.folder / "dist").exists()


def test_a_changelog_without_the_version_is_refused(checkout: Checkout) -> None:
    """Also one that has it twice, or without a day."""
    heading = f"## {millpond.__version__} - 2026-01-02\n"
    found = {}
    for text in (None, "## 0.0.1 - 2026-01-02\n", heading[:-14], heading * 2, heading):
        if text is not None:
            checkout.write("CHANGELOG.md", text)
        found[text] = checkout.release("changelog").returncode

    assert list(found.values()) == [1, 1, 1, 1, 0]


def test_what_is_built_is_summed_up(checkout: Checkout) -> None:
    """Sdist and wheel, twice the same; a release in part proposes no upload."""
    (checkout.folder / "deploy/notes.md").symlink_to("../README.md")
    checkout.commit()

    done = checkout.release("build", "sums")

    assert done.returncode == 0, done.stdout
    dist = checkout.folder / "dist"
    version = millpond.__version__
    names = {f"millpond-{version}.tar.gz", f"millpond-{version}-py3-none-any.whl"}
    assert {each.name for each in dist.iterdir()} == {*names, "SHA256SUMS"}
    sums = dict(
        line.split("  ")[::-1] for line in checkout.read("dist/SHA256SUMS").splitlines()
    )
    assert sums == {
        name: hashlib.sha256((dist / name).read_bytes()).hexdigest() for name in names
    }
    assert "Not looked at: tree, tag" in done.stdout
    assert "upload" not in done.stdout


def test_a_wheel_that_lacks_something_is_refused(checkout: Checkout) -> None:
    """Without the mark of its types, for one."""
    (checkout.folder / "src/millpond/py.typed").unlink()
    checkout.commit()

    done = checkout.release("build", "sums")

    assert done.returncode == 1
    assert "lacks ['millpond/py.typed']" in done.stdout
    assert not (checkout.folder / "dist/SHA256SUMS").exists()


def test_what_is_not_committed_is_not_built(checkout: Checkout) -> None:
    """The files of the commit are released, whatever lies beside them."""
    checkout.write("src/millpond/left_over.py", "1 / 0\n")

    assert checkout.release("build").returncode == 0

    wheel = next(checkout.folder.glob("dist/*.whl"))
    assert "millpond/left_over.py" not in zipfile.ZipFile(wheel).namelist()


def test_a_check_that_is_not_known_is_named(checkout: Checkout) -> None:
    """With those that are."""
    done = checkout.release("tree", "upload")

    assert done.returncode == 2
    assert "no check is called 'upload'" in done.stderr
    assert "sums" in done.stderr


def test_the_page_has_every_check_in_its_order() -> None:
    """As `--list` names them."""
    page = (ROOT / "docs/contributing/releasing.md").read_text("utf-8")
    rows = re.findall(r"(?m)^\| (`[^|]*) \|", page)
    listed = subprocess.run(
        [sys.executable, ROOT / "release/release.py", "--list"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert [each.split()[0] for each in listed.stdout.splitlines()] == re.findall(
        r"`(\w+)`", "".join(rows)
    )
