"""Painted lesions: counted right of methods whose truth is known, and kept for the cards."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.transfer_site.lesions import check_methods, entries_before, lesion_tables
from benchmarks.transfer_site.report import APART_END, APART_START, Report
from denoise_engine import SimulationError
from denoise_engine.training.card import MEASURED_END, MEASURED_START
from denoise_engine.transfer.lesions import (
    SIZES,
    Lesion,
    LesionFigures,
    contrasts_at,
    lesion_test,
    paint,
    place_lesions,
    places_without,
)

SPACING = (1.0, 1.0, 1.0)
SHAPE = (56, 60, 64)
WHITE_MEAN = 100


def _white() -> NDArray[np.bool_]:
    z, y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij")
    return np.asarray(np.sqrt(z**2 + y**2 + x**2) < 0.9)


@pytest.fixture(scope="module")
def white() -> NDArray[np.bool_]:
    return _white()


@pytest.fixture(scope="module")
def clean(white: NDArray[np.bool_]) -> NDArray[np.float32]:
    return np.where(white, np.float32(WHITE_MEAN), np.float32(30))


def _through(clean: NDArray[np.float32], white: NDArray[np.bool_], method: Any) -> LesionFigures:
    return lesion_test(clean, white, WHITE_MEAN, SPACING, lambda v: v, method, each=1)


def test_lesions_survive_a_method_that_does_nothing_and_not_one_that_smooths_them_away(
    clean: NDArray[np.float32], white: NDArray[np.bool_]
) -> None:
    nothing = _through(clean, white, lambda v: v)
    assert sum(c.painted for c in nothing.counts) == 12
    assert all(c.survived == c.painted for c in nothing.counts)
    assert all(c.missed == 0 and c.kept == pytest.approx(1) for c in nothing.counts)
    assert nothing.invented == 0
    blind = _through(clean, white, lambda v: clean)
    assert all(c.survived == 0 and c.kept == 0 for c in blind.counts)
    with pytest.raises(SimulationError, match="image of"):
        _through(clean, white, lambda v: v[:9])


def test_a_few_lesions_that_a_method_makes_up_are_found_wherever_they_are_with_their_sign(
    clean: NDArray[np.float32], white: NDArray[np.bool_]
) -> None:
    painted = place_lesions(white, SPACING, each=1, seed=0)
    centres = places_without(white, painted, 4.0, SPACING, seed=77)[[3, 30, 60]]
    assert len(centres) == 3
    for contrast, sign in ((-0.4, "darker"), (0.4, "brighter")):
        made_up = paint(
            clean,
            [Lesion((int(k), int(i), int(j)), 4.0, contrast) for k, i, j in centres],
            WHITE_MEAN,
            SPACING,
        )
        figures = _through(clean, white, lambda v, image=made_up: image)
        other = "brighter" if sign == "darker" else "darker"
        (of_size,) = [c for c in figures.false_positives if c.diameter == 4.0]
        assert getattr(of_size, sign) >= 3
        assert getattr(of_size, other) < getattr(of_size, sign)
        assert figures.invented < 0.1 * figures.places


def test_hundreds_of_places_of_every_size_are_looked_at_and_none_touches_a_painted_lesion(
    clean: NDArray[np.float32], white: NDArray[np.bool_]
) -> None:
    figures = _through(clean, white, lambda v: v)
    assert [c.diameter for c in figures.false_positives] == sorted(SIZES)
    assert all(500 <= c.places <= 5000 for c in figures.false_positives)
    painted = place_lesions(white, SPACING, each=1, seed=0)
    centres = places_without(white, painted, 3.0, SPACING, seed=0)
    assert white[tuple(centres.T)].all()
    for lesion in painted:
        away = np.sqrt(np.square(centres - np.array(lesion.centre)).sum(axis=1))
        assert away.min() > 0.5 * (3.0 + lesion.diameter)


def test_where_the_head_itself_shows_a_lesion_none_was_invented(
    clean: NDArray[np.float32], white: NDArray[np.bool_]
) -> None:
    painted = place_lesions(white, SPACING, each=1, seed=0)
    place = places_without(white, painted, 6.0, SPACING, seed=0)[0]
    centre = (int(place[0]), int(place[1]), int(place[2]))
    head = paint(clean, [Lesion(centre, 6.0, -0.4)], WHITE_MEAN, SPACING)
    figures = _through(head, white, lambda v: v)
    assert figures.invented == 0
    assert sum(c.left_out for c in figures.false_positives) > 0


def test_a_ball_at_the_border_of_the_image_is_measured_with_what_is_inside() -> None:
    flat = np.full(SHAPE, 100, dtype=np.float32)
    painted = paint(flat, [Lesion((0, 30, 30), 4.0, 0.2)], 100, SPACING)
    at = np.array([[0, 30, 30], [30, 30, 30]])
    at_border, inside = contrasts_at(painted, at, 4.0, SPACING)
    assert at_border > 15
    assert inside == pytest.approx(0, abs=1e-4)


def test_lesions_are_painted_apart_with_the_asked_contrast_or_refused(
    white: NDArray[np.bool_],
) -> None:
    lesions = place_lesions(white, SPACING, each=1, seed=3)
    assert lesions == place_lesions(white, SPACING, each=1, seed=3)
    flat = np.full(SHAPE, 100, dtype=np.float32)
    painted = paint(flat, lesions, 100, SPACING)
    for lesion in lesions:
        assert painted[lesion.centre] == pytest.approx(100 * (1 + lesion.contrast))
        assert white[lesion.centre]
    with pytest.raises(SimulationError, match="no room"):
        place_lesions(white[:6], SPACING, each=40, seed=0)


def _told(**settings: Any) -> dict[str, Any]:
    methods = [{"method": "a", "scan": "s"}, {"method": "b", "scan": "s"}]
    return {"slices": 40, "seed": 1, "methods": methods} | settings


def test_figures_of_other_settings_are_not_dropped_without_a_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, settings = tmp_path / "lesions.json", {"slices": 40, "seed": 1}
    assert entries_before(file, settings, set()) == {}
    file.write_text(json.dumps(_told()))
    assert set(entries_before(file, settings, {("a", "s")})) == {("a", "s"), ("b", "s")}
    for changed in ({"slices": 48}, {"seed": 2}):
        with pytest.raises(SystemExit, match=rf"{next(iter(changed))}.*b \(s\).*all methods"):
            entries_before(file, settings | changed, {("a", "s")})
    assert entries_before(file, settings | {"seed": 2}, {("a", "s"), ("b", "s")}) == {}
    assert "measured anew" in capsys.readouterr().out


def test_a_method_that_there_is_not_is_refused_by_name() -> None:
    check_methods(None, ["ddlr", "cubic"])
    check_methods(["cubic"], ["ddlr", "cubic"])
    with pytest.raises(SystemExit, match=r"No method is called unroled.*ddlr, cubic"):
        check_methods(["cubic", "unroled"], ["ddlr", "cubic"])


def _row(method: str, invented: int, baseline: str | None) -> dict[str, Any]:
    count = {"diameter": 2.0, "places": 1000, "darker": invented, "brighter": 1, "left_out": 7}
    kept = {"diameter": 2.0, "contrast": -0.4, "painted": 4, "survived": 3, "kept": 0.7}
    return {
        "method": method,
        "scan": "s",
        "counts": [kept],
        "false_positives": [count],
        "baseline": baseline and {"method": baseline, "scan": "s"},
        "invented": invented + 1,
        "places": 1000,
    }


def test_the_table_tells_a_rate_by_size_beside_that_of_the_baseline() -> None:
    lines = lesion_tables([_row("cubic", 9, None), _row("net", 19, "cubic")])
    assert "| net | s | 3 of 4, 70% | 3 of 4, 70% |" in lines
    assert (
        "| net | s | 20 of 1,000, 2.0% | 19 | 1 | 20 of 1,000, 2.0% | cubic, 1.0% | 2.00 |" in lines
    )


def test_the_table_enters_the_card_of_another_benchmark_and_changes_nothing_else(
    tmp_path: Path,
) -> None:
    card = tmp_path / "ddlr.md"
    before = f"# Card\n\n{MEASURED_START}\nfigures\n{MEASURED_END}\n\n## Next\n"
    card.write_text(before)
    for line in ("| 1 |", "| 2 |"):
        report = Report()
        report.begin("Lesions", [])
        report.say(line)
        report.write_apart(card, "Lesions", "python it")
        text = card.read_text()
        start, end = text.index(APART_START), text.index(APART_END) + len(APART_END)
        assert line in text[start:end]
        assert text[:start].rstrip("\n") + text[end:] == before
        assert text.count(APART_START) == 1
    assert "| 1 |" not in text
