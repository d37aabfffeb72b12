"""The page as people meet it, in headless Chromium: quiet, alone, legible, its dial turning as the table says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("selenium", reason="needs the extra dev")

from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.rigs.browser import (
    accessibility,
    complaints,
    low_contrast,
    opened,
    overflow,
    requests,
    shown,
    unfold,
)
from tests.rigs.pages import HOSTILE, two_by_two
from tests.system.snakemake_run import SMALL, checkout, snakemake

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("chromium")]


@pytest.fixture(scope="module")
def chromium() -> None:
    """What needs a browser; conftest looks for the programs."""


@pytest.fixture(scope="module")
def from_a_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a whole run of the workflow."""
    place = checkout(tmp_path_factory.mktemp("clone"))
    done = snakemake(place, "report", "--cores", "2", *SMALL, timeout_s=1200)
    assert done.code == 0, done.text
    return place / "results/cluster/report.html"


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two dials on two devices, with a title that would run."""
    folder = tmp_path_factory.mktemp("two")
    page = folder / "report.html"
    page.write_text(two_by_two(folder, HOSTILE), encoding="utf-8")
    return page


@pytest.fixture(params=["from_a_run", "made_up"])
def page(request: pytest.FixtureRequest) -> Path:
    """Each of the two pages."""
    found: Path = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def browser(page: Path) -> Iterator[Chrome]:
    """The page in a wide window."""
    with opened(page) as found:
        yield found


def data(browser: Chrome) -> dict[str, Any]:
    """What the page knows of each place."""
    text = browser.execute_script("return document.getElementById('data').textContent")
    found: dict[str, Any] = json.loads(text)
    return found


def places(browser: Chrome) -> list[tuple[Any, dict[str, Any]]]:
    """Each dial on each device: its section and its data."""
    known = data(browser)
    sections = browser.find_elements(By.CSS_SELECTOR, ".place")
    return [(section, known[section.get_attribute("data-place")]) for section in sections]


def test_it_is_quiet_alone_and_small(browser: Chrome, page: Path) -> None:
    unfold(browser)
    assert page.stat().st_size < 3_000_000
    assert complaints(browser) == []
    assert requests(browser) == []
    assert overflow(browser) <= 0
    assert browser.execute_script("return document.documentElement.dataset.owned") is None
    assert not browser.find_elements(By.CSS_SELECTOR, "img")


def test_every_cell_is_what_the_table_says(browser: Chrome) -> None:
    """Sliders are set to every cell of every schedule; what is shown is compared with the table."""
    set_to = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input', {bubbles: true}))"
    for section, place in places(browser):
        dial = place["dial"]
        sliders = section.find_elements(By.CSS_SELECTOR, "input[data-axis]")
        sizes = [range(len(axis["texts"])) for axis in dial["axes"]]
        for number, levels in enumerate(product(*sizes)):
            for slider, level in zip(sliders, levels, strict=True):
                browser.execute_script(set_to, slider, level)
            chosen = dial["settings"][dial["cells"][number]]
            assert shown(browser, section, "name") == chosen["name"]
            assert shown(browser, section, "why") == dial["reasons"][number]
            assert shown(browser, section, "latency") == chosen["latency"]
            blocks = section.find_elements(By.CSS_SELECTOR, ".chosen .mask i")
            assert "".join("1" if b.get_attribute("class") == "kept" else "0" for b in blocks) == chosen["mask"]
            (now,) = section.find_elements(By.CSS_SELECTOR, ".map td.now")
            assert now.text == chosen["name"]
            assert ("unserved" in str(now.get_attribute("class"))) == (number in dial["unserved"])


def test_the_keyboard_is_enough(browser: Chrome) -> None:
    """Tab reaches the sliders, the map, the pictures and the player; arrows go on within each."""
    section, place = places(browser)[0]
    reached: set[str] = set()
    for _ in range(120):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        active = browser.switch_to.active_element
        kind = f"{active.tag_name}.{(active.get_attribute('class') or '').split(' ')[0]}"
        reached.add(kind)
        if active.tag_name == "td":
            ActionChains(browser).send_keys(Keys.HOME).perform()
            first = section.find_element(By.CSS_SELECTOR, ".dial").get_attribute("data-cell")
            ActionChains(browser).send_keys(Keys.ARROW_RIGHT).perform()
            moved = section.find_element(By.CSS_SELECTOR, ".dial").get_attribute("data-cell")
            assert first != moved
            assert re.match(r"c\d\d: ", browser.find_element(By.ID, "tip").text)
        if kind == "g.told" and "g.told moved" not in reached:
            said = browser.find_element(By.ID, "tip").text
            ActionChains(browser).send_keys(Keys.ARROW_RIGHT).perform()
            assert browser.find_element(By.ID, "tip").text not in ("", said)
            reached.add("g.told moved")
        if active.tag_name == "button":
            ActionChains(browser).send_keys(Keys.SPACE).perform()
            assert active.get_attribute("aria-pressed") == "true"
            ActionChains(browser).send_keys(Keys.SPACE).perform()
            break
    assert {"a.", "input.", "td.s0", "g.told", "button.", "summary."} <= {
        re.sub(r"^td\..*", "td.s0", kind) for kind in reached
    }
    assert place["day"]
    slider = section.find_element(By.CSS_SELECTOR, ".player input")
    for _ in range(3):
        slider.send_keys(Keys.ARROW_RIGHT)
    assert section.find_element(By.CSS_SELECTOR, ".day [data-show=configuration]").text.startswith(
        place["day"][3]["configuration"]
    )
    summary = browser.find_element(By.CSS_SELECTOR, "details.section > summary")
    summary.send_keys(Keys.ENTER)
    assert browser.find_element(By.CSS_SELECTOR, "details.section").get_attribute("open") is not None


def test_the_day_plays_to_its_end(browser: Chrome) -> None:
    section, place = places(browser)[0]
    end = len(place["day"]) - 1
    slider = section.find_element(By.CSS_SELECTOR, ".player input")
    browser.execute_script(
        "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))", slider, end - 2
    )
    section.find_element(By.CSS_SELECTOR, ".player button").click()
    for _ in range(50):
        if section.find_element(By.CSS_SELECTOR, ".player button").get_attribute("aria-pressed") == "false":
            break
        browser.execute_async_script("setTimeout(arguments[0], 100)")
    assert slider.get_attribute("value") == str(end)
    assert section.find_element(By.CSS_SELECTOR, ".player button").text == "Play"


def test_points_tell_what_they_are(browser: Chrome) -> None:
    unfold(browser)
    told = browser.find_elements(By.CSS_SELECTOR, ".first .told")
    assert told
    ActionChains(browser).move_to_element(told[0]).perform()
    assert browser.find_element(By.ID, "tip").text == told[0].get_attribute("aria-label")
    for picture in browser.find_elements(By.CSS_SELECTOR, ".drawing svg"):
        assert picture.find_elements(By.CSS_SELECTOR, ".told[tabindex='0']"), "every picture tells its figures"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1300, 400])
def test_it_is_legible(page: Path, width: int, dark: bool) -> None:
    with opened(page, width, dark) as browser:
        assert overflow(browser) <= 0
        unfold(browser)
        assert overflow(browser) <= 0
        assert low_contrast(browser) == []
        assert accessibility(browser) == []


def test_a_link_into_a_folded_part_opens_it(browser: Chrome) -> None:
    links = browser.find_elements(By.CSS_SELECTOR, "nav a")
    links[-1].click()
    target = str(links[-1].get_attribute("href")).partition("#")[2]
    folded = browser.find_element(By.CSS_SELECTOR, f"details:has([id='{target}'])")
    assert folded.get_attribute("open") is not None


def test_tables_are_short_at_first_and_exact_on_demand(from_a_run: Path) -> None:
    with opened(from_a_run) as browser:
        unfold(browser)
        tables = browser.find_elements(By.CSS_SELECTOR, ".table")
        assert tables
        for table in tables:
            heads = [head for head in table.find_elements(By.TAG_NAME, "th") if head.is_displayed()]
            assert len(heads) <= 8
            assert table.find_element(By.CSS_SELECTOR, "a[download]").get_attribute("href").startswith("data:text/csv")
        wide = next(table for table in tables if table.find_elements(By.CSS_SELECTOR, "input.further"))
        before = len([head for head in wide.find_elements(By.TAG_NAME, "th") if head.is_displayed()])
        wide.find_element(By.CSS_SELECTOR, "input.further").click()
        assert len([head for head in wide.find_elements(By.TAG_NAME, "th") if head.is_displayed()]) > before
        exact = next(table for table in tables if table.find_elements(By.CSS_SELECTOR, "input.exactly"))
        assert "±" in exact.text
        exact.find_element(By.CSS_SELECTOR, "input.exactly").click()
        assert re.search(r"\[[-+\d.]+, [-+\d.]+\]", exact.text)


def test_without_scripts_it_reads_well(page: Path, tmp_path: Path) -> None:
    """The page with its scripts taken out: words, pictures, the map and the tables are there, the player is not."""
    still = tmp_path / "still.html"
    text = page.read_text(encoding="utf-8")
    still.write_text(re.sub(r"<script>.*?</script>\n</body>", "</body>", text, flags=re.S), encoding="utf-8")
    with opened(still) as browser:
        assert complaints(browser) == []
        for section in browser.find_elements(By.CSS_SELECTOR, ".place"):
            assert section.find_element(By.CSS_SELECTOR, ".result").text
            assert section.find_element(By.CSS_SELECTOR, ".first svg").is_displayed()
            assert section.find_element(By.CSS_SELECTOR, ".map td.now").text == shown(browser, section, "name")
            assert not section.find_element(By.CSS_SELECTOR, ".player").is_displayed()
            assert section.find_elements(By.CSS_SELECTOR, ".first .told > title"), "points have titles of their own"


def test_a_hostile_title_stays_text(made_up: Path) -> None:
    with opened(made_up) as browser:
        assert browser.find_element(By.TAG_NAME, "h1").text == HOSTILE
        assert browser.title == f"{HOSTILE} - depthdial"
        assert browser.execute_script("return document.documentElement.dataset.owned") is None
