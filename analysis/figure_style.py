"""How every figure looks, and how it leaves: colours, lines, formats, the same bytes each time."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from textwrap import wrap
from threading import Lock
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from analysis.plan import AnalysisPlan
from analysis.tables import label_of

ImageFormat = Literal["svg", "png", "pdf"]

# Okabe and Ito's colour-blind-safe colours, ordered so that neighbours differ in lightness too.
# They follow the arms' order and never tell what an arm is: masked arms look the same.
PALETTE = ("#A6A6A6", "#E69F00", "#0072B2", "#F0E442", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
HATCHES = ("", "", "///", "", "\\\\\\", "...", "xx", "--")
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "*")
DOTS_PER_INCH = 300
# Letters of a note on an inch, and of its shortest line.
_NOTE_LETTERS = 18
_SHORTEST_NOTE = 20
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8.0,
    "axes.linewidth": 0.6,
    "hatch.linewidth": 0.5,
    "svg.hashsalt": "readerstudy",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
}
# rc_context changes settings of the whole process: one drawing at a time.
_DRAWING = Lock()


@contextmanager
def drawing() -> Iterator[None]:
    """The style of the figures, for one drawing at a time.

    Examples
    --------
    >>> with drawing():
    ...     mpl.rcParams["font.size"]
    8.0
    """
    with _DRAWING, mpl.rc_context(_STYLE):
        yield


def arm_handles(plan: AnalysisPlan, labels: Mapping[str, str] | None) -> list[Patch]:
    """The legend of the arms, in protocol order.

    Examples
    --------
    >>> plan = AnalysisPlan(arms=("A", "B"), control="A", comparisons=(("A", "B"),))
    >>> [patch.get_label() for patch in arm_handles(plan, {"B": "DLR"})]
    ['A', 'DLR']
    """
    return [
        Patch(
            facecolor=PALETTE[number % len(PALETTE)],
            hatch=HATCHES[number % len(HATCHES)],
            edgecolor="black",
            linewidth=0.5,
            label=label_of(arm, labels),
        )
        for number, arm in enumerate(plan.arms)
    ]


def wrapped(text: str) -> str:
    """A label on two lines where it is long.

    Examples
    --------
    >>> wrapped("structure_visibility")
    'structure\\nvisibility'
    """
    words = text.replace("_", " ").split(" ")
    if len(text) < 14 or len(words) < 2:
        return " ".join(words)
    return " ".join(words[:-1]) + "\n" + words[-1]


def bare(axes: Axes, *sides: str) -> None:
    """Axes without the lines of some sides, and without ticks where the left one is gone.

    Examples
    --------
    >>> axes = Figure().subplots()
    >>> bare(axes, "top")
    >>> axes.spines["top"].get_visible()
    False
    """
    for side in sides:
        axes.spines[side].set_visible(False)
    if "left" in sides:
        axes.tick_params(axis="y", length=0)


def note_lines(note: str, inches: float) -> str:
    """The note of a figure so wide, on as many lines as it takes: nothing may be cut off.

    Examples
    --------
    >>> note_lines("Bars: SD. No accelerated scan was made.", 1.1)
    'Bars: SD. No\\naccelerated scan was\\nmade.'
    """
    most = max(_SHORTEST_NOTE, int(inches * _NOTE_LETTERS))
    return "\n".join(line for part in note.splitlines() for line in wrap(part, most))


def figure_note(figure: Figure, text: str, top: float = 0.05) -> None:
    """Text below the panels, and room for it and for a legend above (inches).

    Examples
    --------
    >>> figure = Figure()
    >>> _ = figure.subplots()
    >>> figure_note(figure, "Bars: SD.")
    >>> figure.texts[0].get_text()
    'Bars: SD.'
    """
    height = figure.get_figheight()
    text = note_lines(text, figure.get_figwidth())
    lines = len(text.splitlines())
    if text:
        figure.text(0.5, 0.05 / height, text, ha="center", fontsize=6.5)
    figure.tight_layout(rect=(0, (0.14 * lines + 0.05) / height, 1, 1 - top / height))


def figure_bytes(figure: Figure, image_format: ImageFormat) -> bytes:
    """The figure in a format, without dates: the same bytes for the same drawing.

    Raises
    ------
    ValueError
        If the format is none of svg, png and pdf.

    Examples
    --------
    >>> figure_bytes(Figure(figsize=(1, 1)), "pdf")[:4]
    b'%PDF'
    """
    metadata: dict[str, dict[str, str | None]] = {
        "svg": {"Date": None, "Creator": None},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
        "png": {"Software": None},
    }
    if image_format not in metadata:
        raise ValueError(f'image_format is one of svg, png, pdf, not "{image_format}".')
    FigureCanvasAgg(figure)
    buffer = BytesIO()
    figure.savefig(buffer, format=image_format, dpi=DOTS_PER_INCH, metadata=metadata[image_format])
    return buffer.getvalue()
