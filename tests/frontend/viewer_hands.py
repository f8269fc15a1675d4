"""What a test does to the viewer's page, and what it reads from it."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
from playwright.sync_api import Page

GREYS = """index => {
    const canvas = document.querySelectorAll('.pane-canvas > canvas')[index];
    const copy = document.createElement('canvas');
    [copy.width, copy.height] = [canvas.width, canvas.height];
    const context = copy.getContext('2d', { willReadFrequently: true });
    context.drawImage(canvas, 0, 0);
    const { data } = context.getImageData(0, 0, copy.width, copy.height);
    const values = new Uint8Array(data.length / 4);
    for (let i = 0; i < values.length; i += 1) values[i] = data[4 * i];
    let text = '';
    for (const value of values) text += String.fromCharCode(value);
    return [copy.height, copy.width, btoa(text)];
}"""

SNAPSHOT = """() => JSON.stringify({
    ...view.state,
    panes: view.viewer.panes.map(({ state, drawn }) => ({ ...state, drawn })),
    active: view.viewer.active,
    rate: view.cine.rate,
    ...view.switches(),
})"""


def greys(page: Page, pane: int) -> np.ndarray:
    """The grey values of a pane when what was asked for is drawn, [rows, columns]."""
    settle(page)
    return on_the_screen(page, pane)


def on_the_screen(page: Page, pane: int) -> np.ndarray:
    rows, columns, encoded = page.evaluate(GREYS, pane)
    return np.frombuffer(base64.b64decode(encoded), np.uint8).reshape(rows, columns)


def settle(page: Page) -> None:
    """Until what was asked for is drawn."""
    page.evaluate("() => view.viewer.draw()")


def snapshot(page: Page) -> dict[str, Any]:
    settle(page)
    return dict(json.loads(page.evaluate(SNAPSHOT)))


def box_of(page: Page, pane: int) -> dict[str, float]:
    box = page.locator(".pane-canvas").nth(pane).bounding_box()
    assert box is not None
    return dict(box)  # type: ignore[arg-type]


def drag(page: Page, pane: int, button: Any, dx: float, dy: float) -> None:
    box = box_of(page, pane)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down(button=button)
    page.mouse.move(x + dx, y + dy, steps=4)
    page.mouse.up(button=button)


def wheel(page: Page, pane: int, notches: int) -> None:
    page.locator(".pane-canvas").nth(pane).hover()
    for _ in range(abs(notches)):
        page.mouse.wheel(0, 120 if notches > 0 else -120)
    page.wait_for_timeout(60)  # the browser delivers wheel events with its frames
    settle(page)
