"""Small pictures for pages, and pictures of interactive plots."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from PIL import Image

from medgan.errors import UserError

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUALITY = 82
PATIENCE = 600_000
"""Milliseconds that the browser may take, on a busy machine."""
SIZE = {"width": 1000, "height": 700}


def small(png: bytes, width: int, height: int | None = None) -> bytes:
    """Reduce a PNG file to at most `width` columns, and its upper `height` rows, as a WebP file."""
    with Image.open(io.BytesIO(png)) as opened:
        picture = opened.convert("RGB")
    if picture.width > width:
        rows = round(picture.height * width / picture.width)
        picture = picture.resize((width, rows), Image.Resampling.LANCZOS)
    if height is not None and picture.height > height:
        picture = picture.crop((0, 0, picture.width, height))
    stream = io.BytesIO()
    picture.save(stream, "WEBP", quality=QUALITY, method=6)
    return stream.getvalue()


@contextmanager
def charts() -> Iterator[Callable[[Mapping[str, Any]], bytes]]:
    """Start a browser; yield what draws a plotly figure as a PNG file.

    Raises:
        UserError: no browser is installed.
    """
    import plotly.io
    from playwright.sync_api import sync_playwright

    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise UserError(
            "The plots of the notebooks are drawn by Chromium, which is not installed: install it "
            "(Debian: apt install chromium)."
        )

    def chart(figure: Mapping[str, Any]) -> bytes:
        shown = plotly.io.from_json(json.dumps({key: figure[key] for key in ("data", "layout")}))
        shown.update_layout(width=SIZE["width"])
        page = opened.new_page(viewport=SIZE, device_scale_factor=1.5)
        page.set_default_timeout(PATIENCE)
        page.set_content(shown.to_html(config={"displayModeBar": False}))
        picture: bytes = page.locator(".plotly-graph-div .main-svg").first.screenshot()
        page.close()
        return picture

    with sync_playwright() as playwright:
        # Chromium refuses its sandbox to root.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        opened = playwright.chromium.launch(executable_path=browser, args=arguments)
        yield chart
        opened.close()
