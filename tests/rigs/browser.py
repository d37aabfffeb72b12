"""A page in headless Chromium, as a person meets it: pointer, keyboard, narrow and wide, light and dark."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

NETWORK = {"http", "https", "ws", "wss", "ftp"}


@contextmanager
def opened(page: Path, width: int = 1300, dark: bool = False) -> Iterator[Chrome]:
    """The page in a window of ``width`` CSS pixels."""
    options = ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    try:
        browser.set_script_timeout(300)  # axe took over 30 s on a slow machine
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        browser.get(page.resolve().as_uri())
        yield browser
    finally:
        browser.quit()


def complaints(browser: Chrome) -> list[str]:
    """What the console holds: errors, warnings, refusals of the page's own content policy."""
    return [entry["message"] for entry in browser.get_log("browser")]  # type: ignore[no-untyped-call]


def requests(browser: Chrome) -> list[str]:
    """Addresses on any network that were asked for since the page was opened."""
    entries = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]  # type: ignore[no-untyped-call]
    sent = [e["params"]["request"]["url"] for e in entries if e["method"] == "Network.requestWillBeSent"]
    return [url for url in sent if url.split(":")[0] in NETWORK]


def unfold(browser: Chrome) -> None:
    """Open whatever is folded."""
    browser.execute_script("document.querySelectorAll('details').forEach((one) => { one.open = true; })")


def low_contrast(browser: Chrome) -> list[str]:
    """Texts, those of pictures included, that stand out from what is behind them by less than 4.5 to 1."""
    found: list[str] = browser.execute_script(CONTRAST)
    return found


def accessibility(browser: Chrome) -> list[str]:
    """What axe finds to be wrong."""
    axe = resources.files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    browser.execute_script(axe)
    found: dict[str, Any] = browser.execute_async_script(
        "const done = arguments[0]; axe.run(document, {resultTypes: ['violations']}).then(done);"
    )
    return [f"{v['id']}: {node['html'][:200]}" for v in found["violations"] for node in v["nodes"]]


def overflow(browser: Chrome) -> int:
    """Pixels by which the page is wider than the window."""
    width: int = browser.execute_script("return document.documentElement.scrollWidth - innerWidth")
    return width


def shown(browser: Chrome, place: Any, name: str) -> str:
    """A text of the dial."""
    text: str = place.find_element(By.CSS_SELECTOR, f".dial [data-show={name}]").text
    return text


CONTRAST = """
const parse = (text) => {
  const m = text.match(/[\\d.]+/g).map(Number);
  return [m[0], m[1], m[2], m[3] === undefined ? 1 : m[3]];
};
const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
const linear = (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
const light = (c) => {
  const [r, g, b] = c.map((v) => linear(v / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (element) => {
  const layers = [];
  for (let one = element; one; one = one.parentElement) layers.push(parse(getComputedStyle(one).backgroundColor));
  return layers.reverse().reduce((below, top) => over(top, below), parse(getComputedStyle(document.documentElement)
    .getPropertyValue("color-scheme").includes("dark") ? "rgb(0,0,0)" : "rgb(255,255,255)"));
};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), bad = [];
while (walker.nextNode()) {
  const node = walker.currentNode, element = node.parentElement;
  if (!node.textContent.trim() || ["SCRIPT", "STYLE", "TITLE", "title"].includes(element.tagName)) continue;
  const style = getComputedStyle(element), box = element.getBoundingClientRect();
  if (!box.width || style.visibility === "hidden" || style.display === "none") continue;
  const back = behind(element), inSvg = element.closest("svg");
  const front = over(parse(inSvg ? style.fill : style.color), back);
  const [a, b] = [light(front), light(back)].sort((x, y) => y - x), ratio = (a + 0.05) / (b + 0.05);
  if (ratio < 4.5) bad.push(`${ratio.toFixed(2)}: ${node.textContent.trim().slice(0, 60)}`);
}
return bad;
"""
