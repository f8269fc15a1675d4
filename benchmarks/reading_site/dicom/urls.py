"""The DICOM files of an item, to a signed-in reader, from the same server and the same storage.

For the comparison alone: these addresses name series, which the platform never does to a reader.
"""

from __future__ import annotations

import os
from pathlib import Path

from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path

from readerstudy.imaging.models import Series
from readerstudy.imaging.selectors import display_window
from readerstudy.reading.models import Item

FOLDER = Path(__file__).resolve().parent
BUILT = Path(os.environ.get("READERSTUDY_VAR", "")) / "dicom-page"
# The loader compiles WebAssembly and starts a worker.
POLICY = "default-src 'self' data: blob: 'unsafe-inline' 'wasm-unsafe-eval'"


def page(request: HttpRequest, position: int) -> HttpResponse:
    text = (FOLDER / "page.html").read_text(encoding="utf-8").replace("@POSITION@", str(position))
    return HttpResponse(text, headers={"Content-Security-Policy": POLICY})


def script(request: HttpRequest, name: str) -> FileResponse:
    kind = "application/wasm" if name.endswith(".wasm") else "text/javascript"
    answer = FileResponse((BUILT / Path(name).name).open("rb"), content_type=kind)
    answer.headers["Content-Security-Policy"] = POLICY
    return answer


def item(request: HttpRequest, position: int) -> JsonResponse:
    """Addresses of the files of control and candidate, and the first window in stored values."""
    shown = Item.objects.filter(session__reader=request.user).order_by("position")[position - 1]
    series = Series.objects.filter(volunteer=shown.volunteer)
    control = series.get(arm__is_control=True)
    window = display_window(shown.volunteer)
    scale = float(shown.volunteer.display["scale"])
    return JsonResponse(
        {
            "window": {name: value / scale for name, value in window.items()},
            "panes": [
                [f"/dicom/files/{one.pk}/{index + 1:04d}.dcm" for index in range(one.slices)]
                for one in (control, series.get(arm=shown.arm))
            ],
        }
    )


def file(request: HttpRequest, series_id: str, name: str) -> FileResponse:
    series = Series.objects.get(pk=series_id)
    place = Path(settings.MEDIA_ROOT) / series.prefix / "dicom" / name
    answer = FileResponse(place.open("rb"), content_type="application/dicom")
    answer.headers["Cache-Control"] = "private, max-age=31536000, immutable"
    return answer


urlpatterns = [
    path("dicom/page/<int:position>/", page),
    path("dicom/item/<int:position>/", item),
    path("dicom/files/<uuid:series_id>/<str:name>", file),
    path("dicom/<str:name>", script),
    path("", include("readerstudy.urls")),
]
