"""The app in a real browser: `make test-browser`. Screenshots are kept in build/browser/."""

from __future__ import annotations

import io
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app.conftest import ROOT, evaluate, publish  # noqa: F401
from tests.app.test_page import png_file
from tests.conftest import environment
from tests.inference.test_upload import dicom_file
from tests.report.material import page_of
from tests.report.test_page import EVERYTHING, everything, full_document

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
SHOTS = ROOT / "build/browser"
A4 = 702
"""Width of a printed page within its margins, in CSS pixels."""
SETTLED = (
    "document.querySelector('[data-test-script-state=notRunning]') !== null"
    " && document.querySelector('[data-stale=true]') === null"
)
VIEWS = ("Score", "Compare", "Data", "Train", "medigan", "Generate")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed"),
]


@pytest.fixture
def served(evaluated: Path) -> Iterator[str]:
    """The address of the app on a tiny project."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "medgan.app", "--server.port", str(port)],
        cwd=evaluated,
        env=environment(MEDGAN_PROJECT=str(evaluated)),
    )
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(240):
            try:
                urllib.request.urlopen(address, timeout=1).close()
                break
            except OSError:
                time.sleep(0.5)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=30)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        found = started.chromium.launch(executable_path=BROWSER, args=arguments)
        yield found
        found.close()


def opened(browser: Any, address: str, width: int = 1280, scheme: str = "light") -> Any:
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.set_default_timeout(90_000)
    page.goto(address)
    page.get_by_role("heading", name="medgan").wait_for()
    return page


def view(page: Any, name: str) -> None:
    phone = page.viewport_size["width"] < 700
    if phone:
        page.get_by_test_id("stExpandSidebarButton").click()
    page.get_by_test_id("stSidebar").locator("label", has_text=name).first.click()
    page.get_by_role("heading", name=re.compile(name), level=2).wait_for()
    if phone:
        page.get_by_test_id("stSidebarCollapseButton").get_by_role("button").click()


def shot(page: Any, name: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(SHOTS / f"{name}.png"))


def upload(page: Any, *files: tuple[str, bytes]) -> None:
    page.locator("input[type=file]").first.set_input_files(
        [
            {"name": name, "mimeType": "application/octet-stream", "buffer": data}
            for name, data in files
        ]
    )


def test_images_are_drawn_and_downloaded(browser: Any, served: str) -> None:
    page = opened(browser, served)
    page.get_by_role("button", name="Draw").click()
    page.get_by_text("16 synthetic images of class").wait_for()
    assert page.get_by_role("img", name="Synthetic image 16 of 16").count() == 1
    shot(page, "generate")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download (ZIP").click()
    with zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes())) as packed:
        assert len([name for name in packed.namelist() if name.endswith(".png")]) == 16


def test_films_of_all_kinds_are_scored(browser: Any, served: str, tmp_path: Path) -> None:
    page = opened(browser, served)
    view(page, "Score")
    dicom = dicom_file(tmp_path / "film.dcm")
    upload(page, ("film.png", png_file()), ("film.dcm", dicom.data), ("spoofed.png", b"GIF89a" * 9))
    page.get_by_text("spoofed.png: This file cannot be scored (FORMAT)").wait_for()
    page.get_by_role("img", name=re.compile("film.png: original, 48 × 48")).wait_for()
    page.get_by_role("cell", name="film.dcm").first.wait_for()
    shot(page, "score")
    with page.expect_download() as download:
        page.get_by_role("button", name="Table (CSV)").click()
    table = Path(download.value.path()).read_text()
    assert table.startswith("unit,path,volume")
    assert "FORMAT" in table


def test_an_oversize_file_leaves_no_verdict(browser: Any, served: str) -> None:
    page = opened(browser, served)
    view(page, "Score")
    upload(page, ("film.png", png_file()))
    page.get_by_test_id("stMetric").first.wait_for()
    page.get_by_role("button", name=re.compile("Remove film.png")).click()
    upload(page, ("large.png", b"\x89PNG\r\n\x1a\n" + bytes(21 * 2**20)))
    page.get_by_text(re.compile("must be 20(.0)?MB or smaller")).wait_for()
    assert page.get_by_test_id("stMetric").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_needs_no_sideways_scrolling(browser: Any, served: str, scheme: str) -> None:
    page = opened(browser, served, 390, scheme)
    for name in VIEWS:
        view(page, name)
        width = page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth")
        assert width <= 390
        shot(page, f"{name.lower()}-phone-{scheme}")


def faults(page: Any) -> list[str]:
    """What axe-core finds serious or worse."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(page).response["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:200]}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_view_has_a_serious_fault_of_accessibility(
    browser: Any, served: str, scheme: str
) -> None:
    page = opened(browser, served, scheme=scheme)
    found = {}
    for name in VIEWS:
        view(page, name)
        page.wait_for_function(SETTLED)
        page.wait_for_timeout(1000)  # what the view before has left fades out
        found[name] = faults(page)
        shot(page, f"{name.lower()}-{scheme}")
    assert not any(found.values()), found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_has_no_serious_fault_of_accessibility(
    browser: Any, tmp_path: Path, scheme: str
) -> None:
    figures = dict.fromkeys(EVERYTHING, png_file())
    report = tmp_path / "report.html"
    report.write_text(page_of(full_document(), figures, **everything()), encoding="utf-8")
    page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme=scheme)
    page.goto(report.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert not faults(page)


def test_the_keyboard_alone_draws(browser: Any, served: str) -> None:
    page = opened(browser, served)
    button = page.get_by_role("button", name="Draw")
    button.wait_for()
    for _ in range(40):
        page.keyboard.press("Tab")
        if button.evaluate("element => element === document.activeElement"):
            break
    page.keyboard.press("Enter")
    page.get_by_text("16 synthetic images of class").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_printed_report_shows_every_section_and_cuts_no_table(
    browser: Any, tmp_path: Path, scheme: str
) -> None:
    figures = dict.fromkeys(EVERYTHING, png_file())
    report = tmp_path / "report.html"
    report.write_text(page_of(full_document(), figures, **everything()), encoding="utf-8")
    page = browser.new_page(viewport={"width": A4, "height": 1000}, color_scheme=scheme)
    page.goto(report.as_uri())
    page.emulate_media(media="print")
    closed = page.locator("details:not([open])")
    assert closed.count()
    hidden = "all => all.filter(one => !one.lastElementChild.checkVisibility()).length"
    assert closed.evaluate_all(hidden) == 0
    wide = "all => all.filter(one => one.getBoundingClientRect().right > innerWidth + 1).length"
    assert page.locator("td, th, img").evaluate_all(wide) == 0
    dark_on_white = ["rgb(24, 34, 44)", "rgb(255, 255, 255)"]
    colors = "one => [getComputedStyle(one).color, getComputedStyle(one).backgroundColor]"
    assert page.locator("body").evaluate(colors) == dark_on_white
    shot(page, f"report-printed-{scheme}")
