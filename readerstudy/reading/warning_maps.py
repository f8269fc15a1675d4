"""Warning maps in the reading room: where a network's images are not to be relied on.

A map over one arm's images, and none over another's, tells the arm. So readers see none, unless the
protocol says one of two things. *Alike*: over every image of a volunteer lies one and the same map,
that of all arms together, whichever arm is shown and whichever has a map of its own; it is the same
bytes under another token. *Open*: the reading is not blinded, and every image has its own map, an
empty one where its arm has none. Either way a map is one bit a pixel, of one length for all.
"""

from __future__ import annotations

import numpy as np
from django.http import Http404
from django.urls import reverse

from readerstudy.accounts.models import User
from readerstudy.imaging.models import Series
from readerstudy.imaging.selectors import control_series, on_the_controls_grid
from readerstudy.studies.models import Study
from readerstudy.variants.evidence import FLAGGED, has_map, read_map

from .models import Pane
from .selectors import get_pane

MEANINGS = {
    Study.WarningMaps.ALIKE: "of all image sets of this case together, the same over each: "
    "where one that was made by a network is least sure",
    Study.WarningMaps.OPEN: "not to be relied on: where the network that made the image is least "
    "sure",
}


def is_shown(study: Study) -> bool:
    return study.warning_maps != Study.WarningMaps.NEVER


def address(study: Study, pane_token: str) -> dict[str, str]:
    """What an item's data say of a pane's map; nothing in a study that shows none."""
    if not is_shown(study):
        return {}
    first = reverse("reading_flags", args=[pane_token, 0])
    return {"flags": first.removesuffix("0") + "{index}"}


def meaning(study: Study) -> dict[str, str]:
    """What the colour means, beside the images."""
    if not is_shown(study):
        return {}
    return {"flags_meaning": MEANINGS[Study.WarningMaps(study.warning_maps)]}


def flags(user: User, token: str, index: int) -> bytes:
    """The map over one slice of a pane that the reader may see now, else 404.

    A bit a pixel, row after row, the same number of bytes for every arm of a volunteer.
    """
    pane = get_pane(user, token)
    study = pane.item.session.study
    if not is_shown(study):
        raise Http404
    shown = np.zeros(_shape(pane, index), dtype=bool)
    for series in _of(pane, study):
        if has_map(series, FLAGGED):
            shown |= np.asarray(read_map(series, FLAGGED)[index], dtype=bool)
    return np.packbits(shown).tobytes()


def _shape(pane: Pane, index: int) -> tuple[int, int]:
    control = control_series(pane.item.volunteer)
    if control is None or index >= control.slices:
        raise Http404
    return control.rows, control.columns


def _of(pane: Pane, study: Study) -> list[Series]:
    """Whose maps lie over the pane. Where all are alike, the pane's own arm is not even asked."""
    all_arms = on_the_controls_grid(pane.item.volunteer)
    if study.warning_maps == Study.WarningMaps.ALIKE:
        return all_arms
    return [series for series in all_arms if series.arm_id == pane.arm_id]


def notes(study: Study) -> list[str]:
    """For the launch: what the choice does to the blinding."""
    if study.warning_maps == Study.WarningMaps.OPEN:
        return [
            "Readers see each image’s own warning map: which arm it is can be told by it. The "
            "reading is not blinded, and every report of it has to say so."
        ]
    # By what is said of the images, not by the maps: the launch holds the study meanwhile, and
    # storage may be slow.
    with_map = Series.objects.filter(
        volunteer__study=study, provenance__qc__has_key="flagged_share"
    )
    if is_shown(study) and not with_map.exists():
        return ["Readers are offered warning maps, but no arm has any."]
    return []
