"""Pictures of the page for the guides: ``make screenshots``, after ``make demo``, in headless Chromium.

The default report at 1,300 and 400 pixels, and a made-up page of two dials on two devices in dark.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.rigs.browser import opened
from tests.rigs.pages import two_by_two


def take(page: Path, picture: Path, width: int, dark: bool = False) -> None:
    """The first screen of ``page``."""
    with opened(page, width, dark) as browser:
        picture.write_bytes(browser.get_screenshot_as_png())


def main(report: str, folder: str) -> None:
    """Write page.png, page-narrow.png and page-two.png to ``folder``."""
    take(Path(report), Path(folder, "page.png"), 1300)
    take(Path(report), Path(folder, "page-narrow.png"), 400)
    with tempfile.TemporaryDirectory() as made_up:
        page = Path(made_up, "report.html")
        page.write_text(two_by_two(Path(made_up)))
        take(page, Path(folder, "page-two.png"), 1300, dark=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
