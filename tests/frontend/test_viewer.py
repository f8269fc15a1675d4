"""The images of the reading room in a real browser: keys, mouse, touch, window, drawing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from .conftest import Window
from .viewer_cases import COLUMNS, ROWS, SLICES, cases
from .viewer_hands import box_of, drag, greys, on_the_screen, settle, snapshot, wheel
from .viewer_site import ViewerSite, serve

pytestmark = pytest.mark.browser
Snapshot = dict[str, Any]


@pytest.fixture
def site() -> Iterator[ViewerSite]:
    with serve(ViewerSite(cases())) as site:
        yield site


def open_case(window: Window, site: ViewerSite, name: str = "pair") -> Page:
    window.page.goto(f"{site.address}/?case={name}")
    window.page.wait_for_selector("html[data-ready='1']")
    window.page.wait_for_function("() => view.status().complete && view.status().seen")
    return window.page


def restore(page: Page) -> None:
    """The view as it was opened, slice 3."""
    page.evaluate(
        """() => {
            if (view.cine.running) view.cine.stop();
            if (view.magnifier.on) view.magnify();
            if (view.marking.on) view.marking.cancel();
            if (view.switches().full) view.full();
            view.cine.rate = 8;
            view.viewer.smooth = true;
            view.viewer.activate(0);
            view.viewer.link(true);
            view.viewer.set({ ...view.viewer.startState(), slice: 3 });
        }"""
    )
    settle(page)


def moved(key: str, by: float) -> Callable[[Snapshot, Snapshot], bool]:
    return lambda before, after: after[key] - before[key] == pytest.approx(by)


def window_is(center: float, width: float) -> Callable[[Snapshot, Snapshot], bool]:
    return lambda _, after: (after["center"], after["width"]) == (center, width)


def flipped(key: str) -> Callable[[Snapshot, Snapshot], bool]:
    return lambda before, after: after[key] is not before[key]


def panned(axis: int, sign: int) -> Callable[[Snapshot, Snapshot], bool]:
    # The image goes where the arrow points: the pane's centre goes the other way on the image.
    def check(before: Snapshot, after: Snapshot) -> bool:
        other = 1 - axis
        return sign * after["pan"][axis] < 0 and after["pan"][other] == before["pan"][other]

    return check


# What each key of the table must do. A key that the table has and this list has not fails the test.
EFFECTS: dict[str, Callable[[Snapshot, Snapshot], bool]] = {
    "ArrowUp": moved("slice", -1),
    "ArrowDown": moved("slice", 1),
    "PageUp": lambda _, after: after["slice"] == 0,
    "PageDown": lambda _, after: after["slice"] == SLICES - 1,
    "Home": lambda _, after: after["slice"] == 0,
    "End": lambda _, after: after["slice"] == SLICES - 1,
    "q": window_is(1000, 2000),
    "w": window_is(1900, 3800),
    "e": window_is(400, 800),
    "t": window_is(2500, 2400),
    "b": moved("center", -100),
    "d": moved("center", 100),
    "h": lambda before, after: after["width"] == pytest.approx(before["width"] / 1.1),
    "l": lambda before, after: after["width"] == pytest.approx(before["width"] * 1.1),
    "i": flipped("invert"),
    "+": lambda _, after: after["zoom"] == pytest.approx(1.2),
    "=": lambda _, after: after["zoom"] == pytest.approx(1.2),
    "-": lambda _, after: after["zoom"] == pytest.approx(1 / 1.2),
    "Shift+ArrowLeft": panned(0, -1),
    "Shift+ArrowRight": panned(0, 1),
    "Shift+ArrowUp": panned(1, -1),
    "Shift+ArrowDown": panned(1, 1),
    "r": lambda _, after: (after["zoom"], after["width"], after["slice"]) == (1, 2000, 3),
    "m": flipped("magnifier"),
    "c": flipped("cine"),
    ",": moved("rate", -2),
    ".": moved("rate", 2),
    "s": flipped("linked"),
    "o": lambda _, after: after["active"] == 1,
    "f": flipped("full"),
    "x": flipped("exact"),
    "a": flipped("marking"),
}
SLICE_KEYS = {"ArrowUp", "ArrowDown", "PageUp", "PageDown", "Home", "End", "c"}


def test_each_key_of_the_table_does_what_the_help_says(window: Window, site: ViewerSite) -> None:
    page = open_case(window, site)
    table = page.evaluate("() => view.keys().map(({ keys, show, does }) => ({ keys, show, does }))")
    assert {key for entry in table for key in entry["keys"]} == set(EFFECTS)
    for entry in table:
        for key in entry["keys"]:
            restore(page)
            if key in ("r", "q"):
                page.evaluate("() => view.viewer.set({ zoom: 2, width: 500, center: 300 })")
            before, seen = snapshot(page), greys(page, 1)
            page.keyboard.press(key)
            after = snapshot(page)
            assert EFFECTS[key](before, after), f"{key}: {entry['does']} ({before} → {after})"
            if key not in SLICE_KEYS:
                assert after["slice"] == before["slice"], key
            for pane in after["panes"]:  # linked: both panes, whatever was changed
                assert pane == after["panes"][0], key
            if key not in {",", ".", "o", "s", "a", "c", "f"}:
                assert not np.array_equal(seen, greys(page, 1)), f"{key} changes nothing drawn"
    # The help is printed from the same table.
    restore(page)
    page.evaluate("() => document.querySelector('#key-help').showModal()")
    printed = dict(
        zip(
            page.locator("#key-help dt").all_inner_texts(),
            page.locator("#key-help dd").all_inner_texts(),
            strict=True,
        )
    )
    assert printed["w"] == "Window: Full range"
    assert printed["i"] == "Invert"
    assert printed["Escape"] == "No arrow after all"
    assert printed["Left drag"] == "Window: across for width, down for darker"
    assert "Side by side" in printed["Control and candidate"]
    texts = set(page.locator("#key-help dd").all_inner_texts())
    assert {entry["does"] for entry in table} <= texts
    assert window.troubles == []


def test_digits_never_change_the_view_and_single_keys_can_be_switched_off(
    window: Window, site: ViewerSite
) -> None:
    page = open_case(window, site)
    before = snapshot(page)
    for digit in "12345":
        page.keyboard.press(digit)
    assert snapshot(page) == before
    assert page.evaluate("() => scored") == list("12345")
    page.evaluate("() => document.querySelector('#key-help').showModal()")
    page.locator("[data-character-keys]").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("i")
    page.keyboard.press("2")
    assert snapshot(page) == before
    assert page.evaluate("() => scored.length") == 5
    page.keyboard.press("ArrowDown")  # no character: stays
    assert snapshot(page)["slice"] == before["slice"] + 1


@pytest.mark.parametrize("pane", [0, 1])
def test_mouse_window_pan_zoom_and_slices_act_on_both_panes_from_either(
    window: Window, site: ViewerSite, pane: int
) -> None:
    page = open_case(window, site)
    start = snapshot(page)
    assert (start["center"], start["width"]) == (1000, 2000)
    drag(page, pane, "left", 60, 40)
    changed = snapshot(page)
    assert (changed["width"], changed["center"]) == (2000 + 60 * 5, 1000 + 40 * 5)
    drag(page, pane, "middle", 30, 20)
    drag(page, pane, "right", 0, -50)
    before = snapshot(page)
    assert before["zoom"] == pytest.approx(1.006**50, rel=1e-6)
    assert before["pan"] != [0, 0]
    pictures = [greys(page, index) for index in (0, 1)]
    # Window, zoom and pan belong to the pane: scrolling there and back changes none of them.
    wheel(page, pane, 1)
    after = snapshot(page)
    assert after["slice"] == before["slice"] + 1
    for one in after["panes"]:
        assert {**one, "slice": before["slice"], "drawn": before["slice"]} == before["panes"][0]
    assert (
        page.locator(".overlay-slice").all_inner_texts() == [f"Slice {after['slice'] + 1} / 8"] * 2
    )
    assert not np.array_equal(greys(page, 0), pictures[0])
    wheel(page, pane, -1)
    for index in (0, 1):
        assert np.array_equal(greys(page, index), pictures[index])
    # No menu of the browser on a right click.
    prevented = page.evaluate(
        """pane => {
            const event = new MouseEvent('contextmenu', { bubbles: true, cancelable: true });
            document.querySelectorAll('.pane-canvas')[pane].dispatchEvent(event);
            return event.defaultPrevented; }""",
        pane,
    )
    assert prevented
    # One pane full, and back.
    page.locator(".pane-canvas").nth(pane).dblclick()
    expect(page.locator(".pane-canvas").nth(1 - pane)).to_be_hidden()
    width = page.locator(".images-panes").evaluate("e => e.clientWidth")
    assert box_of(page, pane)["width"] == width
    page.keyboard.press("o")  # the other pane in the same place
    expect(page.locator(".pane-canvas").nth(pane)).to_be_hidden()
    page.locator(".pane-canvas").nth(1 - pane).dblclick()
    expect(page.locator(".pane-canvas").nth(pane)).to_be_visible()
    assert window.troubles == []


def test_panes_taken_apart_move_alone_and_together_again(window: Window, site: ViewerSite) -> None:
    page = open_case(window, site)
    page.keyboard.press("s")
    wheel(page, 1, 2)
    drag(page, 1, "left", 40, 0)
    first, second = snapshot(page)["panes"]
    assert (first["slice"], second["slice"]) == (4, 6)
    assert (first["width"], second["width"]) == (2000, 2200)
    expect(page.locator(".pane").nth(1)).to_have_class("pane is-active")
    page.keyboard.press("o")
    page.keyboard.press("Home")
    first, second = snapshot(page)["panes"]
    assert (first["slice"], second["slice"]) == (0, 6)
    page.keyboard.press("s")
    first, second = snapshot(page)["panes"]
    assert first == second
    assert first["slice"] == 0
    assert page.evaluate("() => view.record().used") == ["unsynced"]


def test_overlays_tell_the_truth_under_zoom(window: Window, site: ViewerSite) -> None:
    page = open_case(window, site)
    letters = {
        side: page.locator(f".overlay-letter-{side}").first.inner_text()
        for side in ("left", "right", "top", "bottom")
    }
    assert letters == {"left": "A", "right": "P", "top": "H", "bottom": "F"}
    for zoom in (1, 3.7):
        page.evaluate("zoom => view.viewer.set({ zoom })", zoom)
        settle(page)
        bar = page.locator(".overlay-scale-bar").first.evaluate(
            "e => e.getBoundingClientRect().width"
        )
        number, unit = page.locator(".overlay-scale-text").first.inner_text().split()
        length = float(number) * (10 if unit == "cm" else 1)
        height = box_of(page, 0)["height"]
        scale = min(height / (ROWS * 0.5), box_of(page, 0)["width"] / (COLUMNS * 0.5)) * zoom
        assert bar == pytest.approx(length * scale, abs=0.2)
    page.keyboard.press("e")
    settle(page)
    assert page.locator(".overlay-window").first.inner_text() == "W 800  C 400  × 3.7"


def test_a_pixel_is_drawn_where_the_view_says_and_anisotropic_pixels_keep_their_shape(
    window: Window, site: ViewerSite
) -> None:
    page = open_case(window, site, "flat")  # rows twice as far apart as columns
    page.evaluate("() => view.viewer.set({ slice: 0, center: 2200, width: 3600 })")
    drawn = greys(page, 0).astype(float)
    rows, columns = np.mgrid[: drawn.shape[0], : drawn.shape[1]]
    weight = drawn / drawn.sum()
    x, y = page.evaluate(
        "() => view.viewer.toScreen(view.viewer.panes[0], { column: 30, row: 40 })"
    )
    assert (columns * weight).sum() + 0.5 == pytest.approx(x, abs=0.5)
    assert (rows * weight).sum() + 0.5 == pytest.approx(y, abs=0.5)
    spread = [
        np.sqrt((weight * (axis - (axis * weight).sum()) ** 2).sum()) for axis in (rows, columns)
    ]
    assert spread[0] / spread[1] == pytest.approx(2, rel=0.1)


def test_exact_pixels_are_whole_screen_pixels_and_the_values_of_the_image(
    window: Window, site: ViewerSite
) -> None:
    page = open_case(window, site)
    page.keyboard.press("x")
    page.evaluate("() => view.viewer.set({ center: 1000, width: 2550 / 2, zoom: 1.3 })")
    drawn = greys(page, 0)
    placed = page.evaluate("() => view.viewer.placed(view.viewer.panes[0])")
    size = round(placed["x"])
    assert placed["x"] == size == placed["y"]
    left, top = round(placed["left"]), round(placed["top"])
    wanted = site.cases["pair"].volumes[0][4]
    low = 1000 - 2550 / 4
    shown = np.clip(np.floor((wanted - low) / (2550 / 2) * 255 + 0.5), 0, 255)
    whole = np.kron(shown, np.ones((size, size)))
    seen = whole[max(-top, 0) :, max(-left, 0) :][: drawn.shape[0], : drawn.shape[1]]
    part = drawn[
        max(top, 0) : max(top, 0) + seen.shape[0], max(left, 0) : max(left, 0) + seen.shape[1]
    ]
    assert np.array_equal(part, seen)


def test_all_256_greys_of_a_narrow_window_are_shown(window: Window, site: ViewerSite) -> None:
    ramp = np.tile(np.arange(1000, 1000 + 256, dtype=np.uint16), (SLICES, ROWS, 1))
    site.cases["pair"].volumes[0] = ramp
    site.cases["pair"].volumes[1] = ramp
    page = open_case(window, site)
    page.evaluate("() => view.viewer.set({ center: 1127.5, width: 255, smooth: false })")
    page.evaluate("() => view.full()")
    assert set(np.unique(greys(page, 0))) == set(range(256))


def test_graphics_card_and_processor_draw_the_same_picture(
    window: Window, site: ViewerSite
) -> None:
    page = open_case(window, site)
    worst = page.evaluate(
        """async () => {
            const [{ WebGLPainter }, { ProcessorPainter }] = await Promise.all([
                import('/src/js/viewer/webgl.js'), import('/src/js/viewer/processor.js')]);
            const [columns, rows] = [90, 70];
            const pixels = Uint16Array.from({ length: columns * rows },
                (_, i) => (i * 7919) % 4001 + (i % 90) * 3);
            const worst = [];
            for (const [x, y, left, top, smooth, invert, lens] of [
                [2.3, 2.3, -11.7, 8.25, true, false, null],
                [1, 1, 40, 30, true, true, null],
                [0.37, 0.37, 20, 20, true, false, null],
                [0.9, 1.7, 3.5, -20, true, false, { x: 90, y: 80, radius: 40, magnification: 2.5 }],
                [3, 3, -20, -30, false, false, { x: 60, y: 50, radius: 30, magnification: 2 }],
            ]) {
                const drawn = [];
                for (const Painter of [WebGLPainter, ProcessorPainter]) {
                    const canvas = document.createElement('canvas');
                    [canvas.width, canvas.height] = [200, 170];
                    Painter.make(canvas, { emulated: true }).draw({
                        pixels, columns, rows, placed: { x, y, left, top }, ratio: 1,
                        low: 500, width: 3000, invert, smooth, lens, size: [200, 170] });
                    const copy = document.createElement('canvas');
                    [copy.width, copy.height] = [200, 170];
                    const context = copy.getContext('2d');
                    context.drawImage(canvas, 0, 0);
                    drawn.push(context.getImageData(0, 0, 200, 170).data);
                }
                const apart = Array.from(drawn[0], (value, i) => Math.abs(value - drawn[1][i]));
                worst.push([apart.reduce((a, b) => Math.max(a, b)),
                            apart.filter((value) => value > 1).length,
                            drawn[0].some((value, i) => i % 4 === 0 && value > 100)]);
            }
            return worst;
        }"""
    )
    for case, (largest, unequal, anything) in enumerate(worst):
        assert anything, f"case {case} drew nothing"
        # At the rim of the lens a screen pixel may fall on either side.
        assert unequal <= (0 if case < 3 else 40), (case, largest, unequal)


def test_pictures_made_beside_the_page_are_those_made_in_it_and_need_no_worker(
    window: Window, site: ViewerSite
) -> None:
    """Both panes change in one frame; what was left meanwhile is not put on the screen."""
    page = open_case(window, site)
    assert page.workers, "the pictures are made in the page's own thread"
    page.evaluate("() => view.viewer.set({ slice: 2, zoom: 1.7, pan: [3, -2] })")
    beside = [greys(page, pane) for pane in (0, 1)]
    late = page.evaluate(
        """async () => {
            const [{ painter }] = view.viewer.panes;
            const size = [painter.canvas.width, painter.canvas.height];
            const asked = painter.draw({ pixels: new Uint16Array(64).fill(900), columns: 8, rows: 8,
                size, placed: { x: 9, y: 9, left: 0, top: 0 }, ratio: 1, low: 0, width: 1000,
                invert: false, smooth: true, lens: null });
            painter.clear(); // another case is opened
            return (await asked)();
        }"""
    )
    assert late is False
    assert not on_the_screen(page, 0).any()
    page.route("**/painting.js", lambda route: route.abort())
    page = open_case(window, site)
    page.evaluate("() => view.viewer.set({ slice: 2, zoom: 1.7, pan: [3, -2] })")
    for pane in (0, 1):
        assert np.array_equal(greys(page, pane), beside[pane])
    assert not page.workers


def test_the_magnifier_follows_the_pointer_with_the_same_window(
    window: Window, site: ViewerSite
) -> None:
    page = open_case(window, site)
    page.keyboard.press("m")
    box = box_of(page, 0)
    plain = greys(page, 1)
    lens = page.evaluate(
        """([x, y]) => { const box = document.querySelector('.pane-canvas').getBoundingClientRect();
            return [x - box.left, y - box.top]; }""",
        [box["x"] + 200, box["y"] + 250],
    )
    page.mouse.move(box["x"] + 200, box["y"] + 250)
    drawn = [greys(page, index) for index in (0, 1)]
    assert not np.array_equal(plain, drawn[1]), "the linked pane shows the place too"
    # In the lens' middle lies the pixel under the pointer, with the pane's own window.
    where = page.evaluate("at => view.viewer.toImage(view.viewer.panes[0], at)", lens)
    value = 200 * 4 + 4 * where["column"]
    assert drawn[0][round(lens[1]), round(lens[0])] == pytest.approx(value / 2000 * 255, abs=1.5)
    # 2.5 times as large: a step of 10 screen pixels is 4 of the image's.
    step = drawn[0][round(lens[1]), round(lens[0]) + 80] - float(
        drawn[0][round(lens[1]), round(lens[0])]
    )
    placed = page.evaluate("() => view.viewer.placed(view.viewer.panes[0]).x")
    assert step == pytest.approx(80 / placed / 2.5 * 4 / 2000 * 255, abs=1.1)


def test_cine_runs_at_its_rate_and_stops_at_blur_and_at_the_wheel(
    window: Window, site: ViewerSite
) -> None:
    page = open_case(window, site)
    page.evaluate("() => { view.cine.rate = 20; }")
    seen = page.evaluate(
        """async () => {
            const drawn = [];
            view.addEventListener('drawn', ({ detail }) => {
                drawn.push([detail.slice, performance.now() / 1000]);
            });
            view.playCine();
            await new Promise((resolve) => setTimeout(resolve, 1000));
            return drawn;
        }"""
    )
    changes = [after for before, after in pairwise(seen) if before[0] != after[0]]
    # Forwards. A busy machine may not draw every slice, and after a halt it makes two at once.
    steps = [(b[0] - a[0]) % SLICES for a, b in pairwise(changes)]
    assert all(1 <= step < SLICES / 2 for step in steps)
    assert len(steps) > 3
    seconds = changes[-1][1] - changes[0][1]
    assert 9 <= sum(steps) / seconds  # 8 is the rate it begins with
    assert (sum(steps) - 2) / seconds <= 22
    page.evaluate("() => window.dispatchEvent(new Event('blur'))")
    assert snapshot(page)["cine"] is False
    page.keyboard.press("c")
    assert snapshot(page)["cine"] is True
    wheel(page, 0, 1)
    assert snapshot(page)["cine"] is False


def test_touch_one_finger_scrolls_or_windows_and_two_zoom_and_pan(
    chromium: Browser, site: ViewerSite
) -> None:
    context = chromium.new_context(viewport={"width": 1024, "height": 768}, has_touch=True)
    page = context.new_page()
    page.goto(f"{site.address}/?case=pair")
    page.wait_for_selector("html[data-ready='1']")
    page.wait_for_function("() => view.status().seen")
    cdp = context.new_cdp_session(page)
    box = box_of(page, 1)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def touch(kind: str, *points: tuple[float, float]) -> None:
        sent = [{"x": px, "y": py, "id": index} for index, (px, py) in enumerate(points)]
        cdp.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": sent})

    def stroke(*path: list[tuple[float, float]]) -> None:
        touch("touchStart", *path[0])
        for points in path[1:]:
            touch("touchMove", *points)
        touch("touchEnd")

    stroke([(x, y)], [(x, y + 19)], [(x, y + 38)])
    assert snapshot(page)["slice"] == 6
    page.get_by_role("button", name="Finger: slice").click()
    stroke([(x, y)], [(x + 40, y)], [(x + 60, y)])
    state = snapshot(page)
    assert (state["slice"], state["width"]) == (6, 2000 + 60 * 5)
    stroke(
        [(x - 40, y), (x + 40, y)],
        [(x - 60, y), (x + 60, y)],
        [(x - 80, y), (x + 80, y)],
    )
    state = snapshot(page)
    assert state["zoom"] == pytest.approx(2, rel=0.05)
    stroke([(x - 40, y), (x + 40, y)], [(x - 20, y + 20), (x + 60, y + 20)])
    after = snapshot(page)
    assert after["zoom"] == pytest.approx(state["zoom"], rel=0.05)
    assert after["pan"][0] < state["pan"][0]
    assert after["pan"][1] < state["pan"][1]
    for _ in range(2):
        stroke([(x, y)])
    expect(page.locator(".pane-canvas").nth(0)).to_be_hidden()
    context.close()
