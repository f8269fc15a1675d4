"""The images of the reading room: pixels that come late or not at all, arrows, hanging, display."""

from __future__ import annotations

import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from .conftest import Window
from .viewer_cases import COLUMNS, ROWS, SLICES, cases
from .viewer_hands import box_of, greys, settle, snapshot
from .viewer_site import ViewerSite, serve

pytestmark = pytest.mark.browser
SPACING = 0.5
AT_ONCE = 6  # requests under way, as in store.js


@pytest.fixture
def site() -> Iterator[ViewerSite]:
    with serve(ViewerSite(cases())) as site:
        yield site


def start(window: Window, site: ViewerSite, name: str = "") -> Page:
    window.page.goto(f"{site.address}/?case={name}")
    window.page.wait_for_selector("html[data-ready='1']")
    return window.page


def wait_for_requests(site: ViewerSite, count: int) -> None:
    ends = time.monotonic() + 20
    while len(site.requests) < count:
        assert time.monotonic() < ends, site.requests
        time.sleep(0.02)


def patient(column: float, row: float, slice_index: int) -> list[float]:
    return [-30.0 + 4.0 * slice_index, -110.0 + SPACING * column, 140.0 - SPACING * row]


# --- Pixels --------------------------------------------------------------------------------------


def test_a_slice_that_fails_once_is_had_without_anyone_asking(
    window: Window, site: ViewerSite
) -> None:
    """Nor does it count as lost while the server says that images are slow: it is asked again.

    A proxy's 503 is no such word: nothing may be there to save an answer."""
    site.fail_once = {"/pixels/pair/0/4", "/pixels/pair/1/6"}
    site.images_slow = {"pair/1/2"}
    page = start(window, site, "pair")
    expect(page.locator(".panes-loading")).to_contain_text("The images are slow to come: 15 of 16")
    expect(page.locator(".panes-loading")).to_contain_text("your answers are saved meanwhile")
    status = page.evaluate("() => view.status()")
    assert (status["complete"], status["failed"]) == (False, 0)
    assert "asked for again by themselves" in status["text"]
    site.images_slow, site.fail = set(), {"pair/1/2": 503}
    asked = len(site.requests)
    expect(page.locator(".pane-trouble").nth(1)).to_contain_text("could not", timeout=20_000)
    assert [path for path, _ in site.requests[asked:]] == ["/pixels/pair/1/2"] * 4
    expect(page.locator(".panes-loading")).to_be_hidden()
    site.fail = {}
    page.evaluate("() => view.retry()")
    page.wait_for_function("() => view.status().complete && view.status().seen")
    lost = {"pane": 2, "slices": [2], "status": 503}
    assert page.evaluate("() => heard") == [["seen", None], ["failed", lost]]
    expect(page.locator(".pane-trouble").nth(1)).to_be_hidden()


def test_a_pane_whose_pixels_fail_says_so_can_be_retried_and_does_not_count_as_seen(
    window: Window, site: ViewerSite
) -> None:
    site.fail = {f"pair/1/{index}": 404 for index in range(SLICES)}
    site.fail["pair/0/7"] = 404  # final: no attempt after the first
    page = start(window, site, "pair")
    expect(page.locator(".pane-trouble").nth(1)).to_contain_text("This image could not be loaded.")
    expect(page.locator(".pane-trouble").nth(0)).to_contain_text("1 of 8 slices could not")
    status = page.evaluate("() => view.status()")
    assert (status["complete"], status["seen"], status["failed"]) == (False, False, 9)
    assert status["shown"] == [1]
    assert status["text"] == "9 slices could not be loaded; the item cannot be submitted unseen."
    assert {heard[0] for heard in page.evaluate("() => heard")} == {"failed"}
    # The slice before must not stay on the screen under the number of one that is missing.
    page.keyboard.press("End")
    settle(page)
    assert greys(page, 0).max() == 0
    expect(page.locator(".overlay-slice").first).to_have_text("Slice 8 / 8")
    assert window.violations() == []
    site.fail = {}
    page.get_by_role("button", name="Retry").first.click()
    page.wait_for_function("() => view.status().complete && view.status().seen")
    expect(page.locator(".pane-trouble").nth(1)).to_be_hidden()
    assert greys(page, 1).max() > 0
    assert page.evaluate("() => view.status().text") == ""


def test_signing_in_again_is_asked_for_where_the_session_is_over(
    window: Window, site: ViewerSite
) -> None:
    site.fail = {"pair/0/2": 401}
    page = start(window, site, "pair")
    expect(page.locator(".pane-trouble").first).to_contain_text("please sign in again")
    page.wait_for_function("() => heard.some(([name]) => name === 'failed')")
    failed = page.evaluate("() => heard.find(([name]) => name === 'failed')[1]")
    assert failed == {"pane": 1, "slices": [2], "status": 401}
    site.fail = {}
    page.evaluate("() => view.retry()")
    page.wait_for_function("() => view.status().complete")


def test_a_slice_on_its_way_is_not_shown_under_its_number_and_comes_first(
    window: Window, site: ViewerSite
) -> None:
    site.held = set(range(SLICES)) - {SLICES // 2}
    page = start(window, site, "rank6")
    under_way = 6 + AT_ONCE  # the slice that is looked at first, and the next ones, unanswered
    wait_for_requests(site, under_way)
    page.keyboard.press("End")
    settle(page)
    assert greys(page, 0).max() == 0
    expect(page.locator(".overlay-waiting").first).to_be_visible()
    expect(page.locator(".panes-loading")).to_be_visible()
    assert len(site.requests) == under_way
    # In the browser's order: the server's threads may take up what was asked first after the rest.
    following: list[str] = []
    page.on("request", lambda request: following.append(urlsplit(request.url).path))
    site.go.set()
    page.wait_for_function("() => view.viewer.panes.every(({ drawn }) => drawn === 7)")
    assert following[:6] == [f"/pixels/rank6/{pane}/7" for pane in range(6)]
    expect(page.locator(".overlay-waiting").first).to_be_hidden()
    page.wait_for_function("() => view.status().complete")
    expect(page.locator(".panes-loading")).to_be_hidden()


def test_the_next_two_items_are_fetched_ahead_and_memory_is_bounded(
    window: Window, site: ViewerSite
) -> None:
    page = start(window, site, "pair")
    page.wait_for_function("() => view.status().complete")
    page.evaluate("() => prefetch_cases(['next', 'after'])")
    page.wait_for_function(
        "() => view.store.ahead.length === 2 && view.store.ahead.every((set) => set.complete)"
    )
    ahead = [purpose for path, purpose in site.requests if "/pair/" not in path]
    assert len(ahead) == 4 * SLICES
    assert set(ahead) == {"prefetch"}
    assert {purpose for path, purpose in site.requests if "/pair/" in path} == {""}
    one = ROWS * COLUMNS * 2 * SLICES * 2
    assert page.evaluate("() => view.store.held()") == 3 * one
    # A prefetched item opens without a request, with its own start.
    site.requests.clear()
    page.evaluate("() => { view.viewer.set({ center: 1, width: 2, zoom: 3 }); }")
    page.evaluate("() => open_case('next')")
    state = snapshot(page)
    assert (state["center"], state["width"], state["zoom"]) == (1000, 2000, 1)
    assert greys(page, 0).max() > 0
    assert site.requests == []
    # What is neither shown nor next is given back; 30 items cost as much as three.
    names = ["pair", "next", "after"]
    for number in range(30):
        page.evaluate(
            """async ([now, ...ahead]) => { await open_case(now); await prefetch_cases(ahead); }""",
            [names[(number + step) % 3] for step in range(3)],
        )
        assert page.evaluate("() => view.store.held()") <= 3 * one
    assert page.locator(".pane-pixels").count() == 2
    # A bound in bytes: of sets that do not fit, none is fetched.
    page.wait_for_function("() => view.store.running === 0")
    site.requests.clear()
    page.evaluate(
        "async (limit) => { view.store.limit = limit; await prefetch_cases(['after', 'one']); }",
        one,
    )
    page.wait_for_timeout(200)
    assert site.requests == []
    assert page.evaluate("() => view.store.held()") == one
    assert window.troubles == []


def test_the_record_tells_slices_windows_and_tools_of_the_item(
    window: Window, site: ViewerSite
) -> None:
    page = start(window, site, "pair")
    page.wait_for_function("() => view.status().seen")
    for key in ("ArrowDown", "ArrowDown", "Home", "i", "e", "m"):
        page.keyboard.press(key)
        settle(page)
    page.wait_for_timeout(120)
    record = page.evaluate("() => view.record()")
    assert record["panes"] == [{"number": number, "slices": [0, 4, 5, 6]} for number in (1, 2)]
    assert record["slice_changes"] == 3
    windows = {(one["center"], one["width"]) for one in record["windows"]}
    assert windows == {(1000, 2000), (400, 800)}
    assert sum(one["ms"] for one in record["windows"]) > 100
    assert record["zoom"] == {"least": 1, "most": 1, "last": 1}
    assert record["used"] == ["invert", "preset", "magnifier"]
    assert record["images_ms"] > 0
    page.evaluate("() => open_case('next')")
    assert page.evaluate("() => view.record().used") == [], "a record is of one item"


# --- Arrows --------------------------------------------------------------------------------------


def test_arrows_by_mouse_and_by_keyboard_lie_in_the_patient(
    window: Window, site: ViewerSite
) -> None:
    page = start(window, site, "pair")
    page.wait_for_function("() => view.status().seen")
    where = "at => view.viewer.toScreen(view.viewer.panes[1], at)"
    box = box_of(page, 1)
    head = page.evaluate(where, {"column": 30, "row": 40})
    tail = page.evaluate(where, {"column": 60, "row": 90})
    page.get_by_role("button", name="Arrow").click()
    page.mouse.move(box["x"] + head[0], box["y"] + head[1])
    page.mouse.down()
    page.mouse.move(box["x"] + tail[0], box["y"] + tail[1], steps=3)
    page.mouse.up()
    mark = page.evaluate("() => mark")
    assert (mark["pane"], mark["slice"]) == (2, 4)
    assert mark["head"] == pytest.approx(patient(30, 40, 4), abs=0.15)
    assert mark["tail"] == pytest.approx(patient(60, 90, 4), abs=0.15)
    assert snapshot(page)["width"] == 2000, "the press was the arrow's, not the window's"
    # It is drawn at that place, under zoom too, on its slice and its pane alone.
    page.evaluate("() => view.viewer.set({ zoom: 2.5, pan: [-3, -8] })")
    settle(page)
    drawn = page.locator(".pane").nth(1).locator("path.arrow").get_attribute("d") or ""
    point = page.evaluate(
        "m => view.viewer.toScreen(view.viewer.panes[1], view.viewer.geometry.toPixel(m))",
        mark["head"],
    )
    assert f"L{point[0]:.1f} {point[1]:.1f}" in drawn
    assert page.locator(".pane").nth(0).locator("path.arrow").count() == 0
    page.keyboard.press("ArrowDown")
    expect(page.locator("path.arrow")).to_have_count(0)
    page.evaluate("() => view.showMark('0')")
    expect(page.locator("path.arrow")).to_have_count(1)
    page.keyboard.press("r")
    # By keyboard: a cross from the middle of the pane, point, tail.
    page.evaluate("() => view.activate(0)")
    page.keyboard.press("a")
    expect(page.locator("path.arrow-cross")).to_have_count(1)
    # Each key of the help moves the cross as it says.
    cross = "() => Object.values(view.marking.draft.cross).slice(0, 2)"
    across = {"Left": (-1, 0), "Right": (1, 0), "Up": (0, -1), "Down": (0, 1)}
    for far, step in (("", 1), ("Shift+", 10)):
        for name, (columns, rows) in across.items():
            before = page.evaluate(cross)
            page.keyboard.press(f"{far}Arrow{name}")
            moved = np.subtract(page.evaluate(cross), before)
            assert tuple(moved) == pytest.approx((step * columns, step * rows)), (far, name)
    for key in ("PageUp", "Shift+ArrowLeft", "ArrowUp", "Enter", "Shift+ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    mark = page.evaluate("() => mark")
    middle = [(COLUMNS - 1) / 2, (ROWS - 1) / 2]
    assert (mark["pane"], mark["slice"]) == (1, 0)
    assert mark["head"] == pytest.approx(patient(middle[0] - 10, middle[1] - 1, 0), abs=0.02)
    assert mark["tail"][2] < mark["head"][2], "the tail went down, towards the feet"
    assert page.evaluate("() => view.switches().marking") is False
    # Escape: none; and the keys are the view's again.
    page.keyboard.press("a")
    page.keyboard.press("Escape")
    assert page.evaluate("() => view.marks.length") == 2
    page.keyboard.press("ArrowDown")
    assert snapshot(page)["slice"] == 1
    # A click alone gives a short arrow.
    page.keyboard.press("a")
    page.mouse.click(box["x"] + head[0], box["y"] + head[1])
    mark = page.evaluate("() => mark")
    assert np.linalg.norm(np.subtract(mark["head"], mark["tail"])) == pytest.approx(15, abs=0.2)


# --- Hanging -------------------------------------------------------------------------------------

SIZES = [(1280, 720), (2560, 1440), (1440, 2560), (1024, 768)]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_every_mode_uses_the_space_and_its_tools_can_be_hit(
    window: Window, site: ViewerSite, width: int, height: int
) -> None:
    window.page.set_viewport_size({"width": width, "height": height})
    page = start(window, site)
    for name, count in (("one", 1), ("pair", 2), ("choice", 2), ("rank3", 3), ("rank6", 6)):
        page.evaluate("name => open_case(name)", name)
        space = page.locator(".images-panes").bounding_box()
        assert space is not None
        boxes = [box_of(page, index) for index in range(count)]
        assert page.locator(".pane").count() == count
        for box in boxes:
            assert box["x"] >= space["x"] - 1
            assert box["y"] + box["height"] <= space["y"] + space["height"] + 1
        covered = sum(box["width"] * box["height"] for box in boxes)
        columns, rows = map(
            int, (page.locator(".images-panes").get_attribute("data-hanging") or "").split("x")
        )
        places = space["width"] * space["height"] * count / (columns * rows)
        assert covered > 0.97 * places
        # No other number of columns would show the images larger by more than a hair.
        image = (COLUMNS * SPACING, ROWS * SPACING)
        scale = min(boxes[0]["width"] / image[0], boxes[0]["height"] / image[1])
        best = max(
            min(
                space["width"] / columns / image[0],
                space["height"] / -(-count // columns) / image[1],
            )
            for columns in range(1, count + 1)
        )
        if name.startswith("rank"):
            assert scale > 0.9 * best, name
        if count == 2:
            assert boxes[0]["y"] == boxes[1]["y"], "side by side, as the protocol says"
        for tool in page.locator(".tool:visible").all():
            target = tool.bounding_box()
            assert target is not None
            assert target["width"] >= 24
            assert target["height"] >= 24
            assert target["x"] + target["width"] <= width
        overflow = page.evaluate(
            "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert overflow <= 0
    assert page.locator(".overlay-label").all_inner_texts() == list("ABCDEF")
    assert window.troubles == []  # before axe, which the policy hinders in reading style sheets
    assert window.violations() == []


# --- The display ---------------------------------------------------------------------------------

OBSERVER = """async ([bits, host]) => {
    // An observer who sees each difference that a display of so many bits shows, and nothing else.
    const { ContrastTest } = await import('/src/js/display/contrast_test.js');
    const test = new ContrastTest(document.querySelector(host));
    const answer = () => {
        const { canvas, question } = test;
        if (question.textContent.startsWith('From')) return bits < 8 ? 'banded' : 'smooth';
        const context = canvas.getContext('2d');
        const grey = (x, y) => context.getImageData(x, y, 1, 1).data[0] >> (8 - bits);
        const fields = [0, 1, 2, 3].map((field) => {
            const [left, top] = [(field % 2) * 240, Math.floor(field / 2) * 160];
            return grey(left + 120, top + 80) > grey(left + 40, top + 130);
        });
        return String(fields.indexOf(true) + 1);
    };
    const done = test.run();
    const names = { smooth: 'Smoothly', banded: 'In bands' };
    for (let step = 0; step < 9; step += 1) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        const given = answer();
        const button = [...test.answers.children].find((b) => b.textContent === names[given]);
        if (button) button.click();
        else document.dispatchEvent(new KeyboardEvent('keydown', { key: given, bubbles: true }));
    }
    return done;
}"""


def test_the_contrast_test_tells_a_display_of_six_bits_and_notices_say_what_is_wrong(
    window: Window, site: ViewerSite
) -> None:
    page = start(window, site)
    all_seen = {"shown": 4, "seen": 4}
    seen = page.evaluate(OBSERVER, [8, "#notice"])
    assert seen == {"dark": all_seen, "light": all_seen, "ramp": "smooth"}
    seen = page.evaluate(OBSERVER, [6, "#notice"])
    half = {"shown": 4, "seen": 2}
    assert seen == {"dark": half, "light": half, "ramp": "banded"}
    skipped = page.evaluate(
        """async () => {
            const { ContrastTest } = await import('/src/js/display/contrast_test.js');
            const done = new ContrastTest(document.querySelector('#notice')).run();
            await new Promise((resolve) => setTimeout(resolve, 5));
            document.querySelector('.contrast-answers').lastChild.click();
            return done;
        }"""
    )
    assert skipped is None
    codes = page.evaluate(
        """async () => {
            const { noticesFor } = await import('/src/js/display/notices.js');
            const { zoomEstimate } = await import('/src/js/display/measure.js');
            const fine = { viewport: [1280, 720], zoom_estimate: 1, colour_depth: 24 };
            const of = (change, contrast) =>
                noticesFor({ ...fine, ...change }, contrast).map(({ code }) => code);
            const zoom = (outerWidth, innerWidth, devicePixelRatio) =>
                zoomEstimate({ outerWidth, innerWidth, devicePixelRatio });
            return [of({}), of({ viewport: [1024, 700] }), of({ viewport: [900, 500] }),
                of({ zoom_estimate: 1.5 }), of({ colour_depth: 18 }), of({}, { ramp: 'banded' }),
                zoom(1920, 1920, 1), zoom(1920, 1280, 1.5), zoom(1920, 1536, 1.5625),
                zoom(1920, 1600, 1), zoom(0, 0, 1)];
        }"""
    )
    assert codes == [[], [], ["small"], ["zoomed"], ["bits"], ["bits"], 1, 1.5, 1.25, None, None]
    page.evaluate(
        """async () => {
            const { watchDisplay } = await import('/src/js/display/notices.js');
            window.codes = [];
            watchDisplay(document.querySelector('#notice'), { onChange: (now) => codes.push(now) });
        }"""
    )
    expect(page.locator("#notice")).to_be_hidden()
    page.set_viewport_size({"width": 800, "height": 500})
    expect(page.locator("#notice")).to_contain_text("This window is small")
    page.get_by_role("button", name="Understood").click()
    expect(page.locator("#notice")).to_be_hidden()
    assert page.evaluate("() => codes").pop() == ["small"]
