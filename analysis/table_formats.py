"""Publication tables as HTML, LaTeX and DOCX: the same bytes for the same table."""

import datetime
import zipfile
from html import escape
from io import BytesIO

from docx import Document
from docx.enum.section import WD_ORIENT
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Cm, Emu, Pt
from docx.table import Table, _Cell

from analysis.publication import PublicationTable

_STYLE = (
    "body{font-family:Arial,sans-serif;margin:2em}table{border-collapse:collapse;"
    "border-top:2px solid;border-bottom:2px solid}caption{text-align:left;font-weight:bold;"
    "padding-bottom:.5em}th{border-bottom:1px solid}th,td{padding:.2em .7em;text-align:left}"
    "p{max-width:70em;font-size:85%}"
)
_LATEX = {
    "\\": r"\textbackslash{}",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "−": r"$-$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "<": r"$<$",
    ">": r"$>$",
    "√": r"$\surd$",
    "×": r"$\times$",
    "µ": r"$\mu$",
    "μ": r"$\mu$",
    "α": r"$\alpha$",
    "χ": r"$\chi$",
    "°": r"$^\circ$",
    "²": r"$^2$",
    "³": r"$^3$",
    "–": "--",
    # At the start of a row LaTeX would take it for the argument of the line break before.
    "[": "{[}",
}
# More columns than this need a page on its side.
_MOST_UPRIGHT = 6
# Characters of a body text that may take a line of its own.
_WIDEST = 24
_MARGIN = Cm(1.8)
# Dates inside the file would make two exports of the same table differ.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def html_table(table: PublicationTable) -> str:
    """The table as an HTML page of its own.

    Parameters
    ----------
    table : PublicationTable

    Returns
    -------
    str

    Examples
    --------
    >>> import pandas as pd
    >>> cells = pd.DataFrame({"Tissue": ["fat & water"], "q": [".004"]})
    >>> page = html_table(PublicationTable("table2", "Table 2", cells, frozenset({(0, 1)}), ()))
    >>> "<td>fat &amp; water</td><td><strong>.004</strong></td>" in page
    True
    """
    head = "".join(f'<th scope="col">{escape(str(name))}</th>' for name in table.cells.columns)
    body = ""
    for row, values in enumerate(table.cells.itertuples(index=False)):
        cells = ""
        for column, value in enumerate(values):
            text = escape(str(value))
            text = f"<strong>{text}</strong>" if (row, column) in table.bold else text
            cells += f"<td>{text}</td>"
        body += f"<tr>{cells}</tr>\n"
    notes = "".join(f"<p>{escape(note)}</p>\n" for note in table.notes)
    title = escape(table.title)
    return (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{title}</title>\n'
        f"<style>{_STYLE}</style></head>\n<body>\n<table>\n<caption>{title}</caption>\n"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n{notes}</body>\n"
        "</html>\n"
    )


def latex_table(table: PublicationTable) -> str:
    """The table as a LaTeX float as wide as the text, on its side where it has many columns.

    Parameters
    ----------
    table : PublicationTable

    Returns
    -------
    str
        Needs the packages that its first line names.

    Examples
    --------
    >>> import pandas as pd
    >>> cells = pd.DataFrame({"Tissue": ["fat_1"], "q": ["<.001"]})
    >>> text = latex_table(PublicationTable("table2", "Table 2", cells, frozenset({(0, 1)}), ()))
    >>> print(text.splitlines()[9])
    fat\\_1 & \\textbf{$<$.001} \\\\
    """
    rows = []
    for row, values in enumerate(table.cells.itertuples(index=False)):
        cells = [latex_text(str(value)) for value in values]
        for column in range(len(cells)):
            if (row, column) in table.bold:
                cells[column] = f"\\textbf{{{cells[column]}}}"
        rows.append(" & ".join(cells) + r" \\")
    head = " & ".join(latex_text(str(name)) for name in table.cells.columns)
    notes = "\n\n".join(latex_text(note) for note in table.notes)
    wide = table.cells.shape[1] > _MOST_UPRIGHT
    float_name = "sidewaystable" if wide else "table"
    # Rounded down, so that together they stay within the width.
    shares = [int(1000 * share) / 1000 for share in _shares(table)]
    left = r">{\raggedright\arraybackslash}"
    columns = "".join(rf"{left}p{{\dimexpr{share}\linewidth-2\tabcolsep}}" for share in shares)
    packages = "array, booktabs and rotating" if wide else "array and booktabs"
    # The title carries its number, which LaTeX would give again.
    lines = [
        f"% Needs the packages {packages}.",
        rf"\begin{{{float_name}}}",
        r"\setlength{\tabcolsep}{2.5pt}\setlength{\parindent}{0pt}",
        rf"\textbf{{{latex_text(table.title)}}}\par\smallskip",
        r"\footnotesize",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        head + r" \\",
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}\par\smallskip",
        notes,
        rf"\end{{{float_name}}}",
    ]
    return "\n".join(lines) + "\n"


def latex_text(text: str) -> str:
    """Text with LaTeX's own characters escaped; a value and its SD stay on one line.

    Parameters
    ----------
    text : str

    Returns
    -------
    str

    Examples
    --------
    >>> print(latex_text("3.1 ± 0.3 & 5 %"))
    3.1~$\\pm$~0.3 \\& 5 \\%
    """
    joined = text.replace(" ± ", "\u00a0±\u00a0")
    return "".join("~" if mark == "\u00a0" else _LATEX.get(mark, mark) for mark in joined)


def docx_table(table: PublicationTable) -> bytes:
    """The table as a Word document: three lines, as journals set tables.

    Parameters
    ----------
    table : PublicationTable

    Returns
    -------
    bytes
        The same for the same table: no date, no author.

    Examples
    --------
    >>> import pandas as pd
    >>> cells = pd.DataFrame({"Tissue": ["fat"], "q": [".004"]})
    >>> docx_table(PublicationTable("table2", "Table 2", cells, frozenset(), ()))[:2]
    b'PK'
    """
    document = Document()
    section = document.sections[0]
    if table.cells.shape[1] > _MOST_UPRIGHT:
        section.orientation = WD_ORIENT.LANDSCAPE
        section.page_width, section.page_height = section.page_height, section.page_width
    for side in ("left_margin", "right_margin", "top_margin", "bottom_margin"):
        setattr(section, side, _MARGIN)
    document.styles["Normal"].font.name = "Arial"
    title = document.add_paragraph()
    title.add_run(table.title).bold = True
    rows, columns = table.cells.shape
    grid = document.add_table(rows + 1, columns)
    # Cell by cell python-docx looks the whole grid up again: take the cells once.
    cells = grid._cells
    for column, name in enumerate(table.cells.columns):
        _write(cells[column], str(name), bold=True)
    for row, values in enumerate(table.cells.itertuples(index=False)):
        for column, value in enumerate(values):
            place = (row + 1) * columns + column
            _write(cells[place], str(value), bold=(row, column) in table.bold)
    _three_lines(grid)
    _column_widths(grid, table, int(section.page_width or 0) - 2 * int(_MARGIN))
    for note in table.notes:
        paragraph = document.add_paragraph()
        paragraph.paragraph_format.space_before = Pt(3)
        paragraph.paragraph_format.space_after = Pt(0)
        paragraph.add_run(note).font.size = Pt(8)
    return _undated(document, table.title)


def _write(cell: _Cell, text: str, *, bold: bool) -> None:
    paragraph = cell.paragraphs[0]
    paragraph.alignment = WD_ALIGN_PARAGRAPH.LEFT
    paragraph.paragraph_format.space_after = Pt(0)
    # A value and its SD stay on one line.
    run = paragraph.add_run(text.replace(" ± ", "\u00a0±\u00a0"))
    run.bold = bold
    run.font.size = Pt(8)


def _three_lines(grid: Table) -> None:
    """A line above, below the head and at the end; the head is repeated on every page."""
    head = grid.rows[0]._tr
    repeated = OxmlElement("w:tblHeader")
    repeated.set(qn("w:val"), "true")
    head.get_or_add_trPr().append(repeated)
    for row, sides in ((grid.rows[0], ("top", "bottom")), (grid.rows[-1], ("bottom",))):
        for cell in row._tr.tc_lst:
            borders = OxmlElement("w:tcBorders")
            for side in sides:
                line = OxmlElement(f"w:{side}")
                line.set(qn("w:val"), "single")
                line.set(qn("w:sz"), "8")
                borders.append(line)
            cell.get_or_add_tcPr().append(borders)


def _shares(table: PublicationTable) -> list[float]:
    """Shares of the width by what must stay on one line: a value in the body, a word in the head.
    Together they are 1."""
    needed = []
    for column, name in enumerate(table.cells.columns):
        words = max((len(word) for word in str(name).split()), default=1)
        values = max((len(str(value)) for value in table.cells.iloc[:, column]), default=1)
        needed.append(min(max(words, values), _WIDEST) + 2)
    return [part / sum(needed) for part in needed]


def _column_widths(grid: Table, table: PublicationTable, width: int) -> None:
    grid.autofit = False
    for column, share in enumerate(_shares(table)):
        part = Emu(int(width * share))
        grid.columns[column].width = part
        for row in grid._tbl.tr_lst:
            row.tc_lst[column].width = part


def _undated(document: object, title: str) -> bytes:
    """The document's bytes without the time and the author that python-docx would write."""
    properties = document.core_properties  # type: ignore[attr-defined]
    properties.title, properties.author, properties.comments = title, "", ""
    properties.created = properties.modified = datetime.datetime(*_EPOCH, tzinfo=datetime.UTC)
    buffer = BytesIO()
    document.save(buffer)  # type: ignore[attr-defined]
    result = BytesIO()
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(result, "w") as target:
        for name in sorted(source.namelist()):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(entry, source.read(name))
    return result.getvalue()
