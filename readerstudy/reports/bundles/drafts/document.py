"""A Word document that says on every page that it is a draft: the same bytes for the same text."""

from __future__ import annotations

import datetime
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO

from docx import Document
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Cm, Pt, RGBColor

from readerstudy.reports.bundles.archive import ZIP_TIME

TO_WRITE = "[to be written by the authors]"
_WARNING = (
    "DRAFT, filled by ReaderStudy from the data of the study. Check every statement; text in "
    "square brackets is for the authors to write."
)


@dataclass(frozen=True)
class Section:
    """A heading with paragraphs, a table of texts, or both."""

    heading: str
    paragraphs: Sequence[str] = ()
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = field(default_factory=tuple)
    widths_cm: Sequence[float] = ()


def draft(title: str, sections: Sequence[Section], mark: str = "") -> bytes:
    """`mark` stands on every page too: that the results are post hoc."""
    document = Document()
    page = document.sections[0]
    for side in ("left_margin", "right_margin", "top_margin", "bottom_margin"):
        setattr(page, side, Cm(2))
    style = document.styles["Normal"]
    style.font.name, style.font.size = "Arial", Pt(10)
    head = page.header.paragraphs[0]
    head.alignment = WD_ALIGN_PARAGRAPH.CENTER
    run = head.add_run(f"{_WARNING} {mark}".strip())
    run.bold, run.font.size, run.font.color.rgb = True, Pt(8), RGBColor(0xA0, 0x20, 0x10)
    document.add_paragraph().add_run(f"{title} (draft)").bold = True
    for section in sections:
        heading = document.add_paragraph()
        heading.paragraph_format.space_before = Pt(10)
        heading.paragraph_format.keep_with_next = True
        heading.add_run(section.heading).bold = True
        for text in section.paragraphs:
            document.add_paragraph(text)
        if section.rows:
            _table(document, section)
    return _undated(document, f"{title} (draft)")


def _table(document: object, section: Section) -> None:
    grid = document.add_table(len(section.rows) + 1, len(section.columns))  # type: ignore[attr-defined]
    grid.style = "Table Grid"
    grid.autofit = False
    cells = grid._cells
    for at, name in enumerate(section.columns):
        _write(cells[at], name, bold=True)
    for row, texts in enumerate(section.rows, start=1):
        for at, text in enumerate(texts):
            _write(cells[row * len(section.columns) + at], text)
    for at, width in enumerate(section.widths_cm):
        grid.columns[at].width = Cm(width)
        for row in grid._tbl.tr_lst:
            row.tc_lst[at].width = Cm(width)
    repeated = OxmlElement("w:tblHeader")
    repeated.set(qn("w:val"), "true")
    grid.rows[0]._tr.get_or_add_trPr().append(repeated)
    for row in grid.rows:
        whole = OxmlElement("w:cantSplit")
        whole.set(qn("w:val"), "true")
        row._tr.get_or_add_trPr().append(whole)


def _write(cell: object, text: str, *, bold: bool = False) -> None:
    paragraph = cell.paragraphs[0]  # type: ignore[attr-defined]
    paragraph.paragraph_format.space_after = Pt(0)
    run = paragraph.add_run(text)
    run.bold, run.font.size = bold, Pt(9)


def _undated(document: object, title: str) -> bytes:
    """Without the time and the author that python-docx would write."""
    properties = document.core_properties  # type: ignore[attr-defined]
    properties.title, properties.author, properties.comments = title, "", ""
    fixed = datetime.datetime(*ZIP_TIME, tzinfo=datetime.UTC)
    properties.created = properties.modified = fixed
    buffer = BytesIO()
    document.save(buffer)  # type: ignore[attr-defined]
    result = BytesIO()
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(result, "w") as target:
        for name in sorted(source.namelist()):
            entry = zipfile.ZipInfo(name, ZIP_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            target.writestr(entry, source.read(name))
    return result.getvalue()
