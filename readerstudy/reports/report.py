"""The results of a study in one of two forms: masked (letters) or named.

Masked results are computed from data in which letters have replaced the arms, so nothing that comes
out can hold a name. Named results are computed from the frozen snapshot.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import cast

import pandas as pd

from analysis import AnalysisPlan, InputError, PlanWarning, Results, run_plan
from analysis.figures import ImageFormat, figure_3, figure_4
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import PlanVersion, Study
from readerstudy.studies.protocol import sha256_of

from . import post_hoc
from .models import Snapshot, Unblinding
from .plans import last_version, masked_plan, plan_of, plan_sha256, signed_plan
from .post_hoc import Signing
from .selectors import Document, data_of, frames_of, masked_data, preference_frames
from .snapshots import CHANGED, check_intact, fingerprint_of, standing_snapshot

FIGURES = ("figure3", "figure4")
IMAGE_FORMATS = ("svg", "png")


@dataclass
class Report:
    """Data, plan and results of a study in one form.

    `plan_sha256` is the hash of the registered plan, the same in both forms; `data_sha256` that of
    the data in this form. `post_hoc` is empty, or the sentence that marks results of a plan that
    was signed when the key was open. `signing` says when the plan was signed.
    """

    data: Document
    plan: AnalysisPlan
    plan_sha256: str
    data_sha256: str
    is_masked: bool
    results: Results
    signing: Signing | None = None  # none is signed
    post_hoc: str = ""
    _figures: dict[tuple[str, str], bytes] = field(default_factory=dict)

    @property
    def slug(self) -> str:
        return str(self.data["study"]["slug"])

    @property
    def title(self) -> str:
        return str(self.data["study"]["title"])

    @property
    def plan_version(self) -> int | None:
        return self.signing.number if self.signing is not None else None

    @property
    def amended(self) -> str:
        """Empty, or the sentence on a plan that was changed when masked results could be seen."""
        return self.signing.amended if self.signing is not None else ""

    @property
    def plan_tag(self) -> str:
        """What stands behind every title of results of a late plan; else empty."""
        if self.post_hoc:
            return "post hoc"
        return "plan amended after the lock" if self.amended else ""

    @property
    def notice(self) -> str:
        """What every table, figure and file says; the mark of a late plan comes first."""
        said = (self.post_hoc, self.amended, str(self.data["study"]["notice"]))
        return " – ".join(part for part in said if part)

    @property
    def plan_query(self) -> str:
        """What an address needs so that it leads to the results of the same plan."""
        return f"?plan={self.plan_version}" if self.post_hoc else ""

    @property
    def credits(self) -> str:
        return str(self.data["study"]["credits"])

    @cached_property
    def frames(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        return frames_of(self.data)

    @cached_property
    def rows_of_readers(self) -> dict[tuple[str, str], pd.Index]:
        """Which scores are one reader's of one criterion, by both."""
        return dict(self.frames[0].groupby(["criterion", "reader"]).groups)

    @cached_property
    def answers(self) -> list[pd.DataFrame]:
        """What readers answered: scores, and forced choices or rankings where there are any."""
        return [self.frames[0], *(f for f in preference_frames(self.data) if f is not None)]

    @cached_property
    def volunteers(self) -> list[str]:
        frames = [self.frames[1], *self.answers]
        return sorted({code for frame in frames for code in frame["volunteer"]})

    @cached_property
    def readers(self) -> list[str]:
        codes = {code for frame in self.answers for code in frame["reader"]}
        return sorted(codes, key=lambda code: (len(code), code))

    @cached_property
    def arm_names(self) -> dict[str, str]:
        return {arm["code"]: arm["name"] for arm in self.data["arms"]}

    @cached_property
    def letters(self) -> dict[str, str]:
        return {arm["code"]: arm["letter"] for arm in self.data["arms"]}

    @cached_property
    def row_names(self) -> dict[str, str]:
        return {row["code"]: row["name"] for row in (*self.data["criteria"], *self.data["tissues"])}

    @cached_property
    def sites(self) -> dict[str, str]:
        """The names of the sites by their codes; empty in a study without."""
        return {site["code"]: site["name"] for site in self.data.get("sites", [])}

    @property
    def site_of(self) -> dict[str, str]:
        """The code of each volunteer's site."""
        return dict(self.data.get("volunteer_sites", {}))

    @cached_property
    def warnings(self) -> list[PlanWarning]:
        """Before unblinding, without those that follow from what an arm is (its air, its DLR):
        they would tell the letters. What is missing is said in both forms."""
        return [w for w in self.results.warnings if not (self.is_masked and w.arm and not w.metric)]

    def has_figure(self, name: str) -> bool:
        """Figure 3 needs ratios, figure 4 scores that are summarised over the readers."""
        metrics = set(self.results.tests["metric"])
        if name == "figure3":
            return bool(metrics & {"SNR", "CNR"})
        return "score" in metrics and self.plan.reader_summary != "each"

    def figure(self, name: str, image_format: str) -> bytes:
        """The bytes of a figure; the same for the same results."""
        key = (name, image_format)
        if key not in self._figures:
            draw = {"figure3": figure_3, "figure4": figure_4}[name]
            self._figures[key] = draw(
                self.results,
                {**_figure_names(self), **self.row_names},
                image_format=cast(ImageFormat, image_format),
                note=self.notice,
            )
        return self._figures[key]


def _figure_names(report: Report) -> Mapping[str, str]:
    if report.is_masked:
        return {letter: f"Arm {letter}" for letter in report.letters.values()}
    return report.arm_names


def masked_report(study: Study) -> Report:
    """Of a locked study whose key is not opened: letters throughout, over the frozen data."""
    if not study.is_locked or study.is_unblinded:
        raise StudyError("Masked results stand between the lock and the unblinding.")
    plan, version = plan_of(study), last_version(study)
    snapshot = standing_snapshot(study)

    def read() -> tuple[Document, AnalysisPlan]:
        if snapshot is not None:
            check_intact(snapshot)
        data = snapshot.data if snapshot is not None else data_of(study)
        letters = {arm["code"]: arm["letter"] for arm in data["arms"]}
        return masked_data(data), masked_plan(plan, letters)

    return _report(snapshot, read, plan_sha256(plan), True, post_hoc.signing(version))


def named_report(study: Study, version: int | None = None) -> Report:
    """Of an unblinded study: from the frozen snapshot, under the plan that the key was opened with.

    `version` asks for another signed version of the plan; one that was signed since is post hoc.
    """
    if not study.is_unblinded:
        raise StudyError("The study is not unblinded.")
    opened = Unblinding.objects.select_related("plan_version").get(study=study)
    snapshot = standing_snapshot(study)
    if snapshot is None:
        raise StudyError(CHANGED)
    signed = opened.plan_version
    if version is not None:
        signed = PlanVersion.objects.filter(study=study, number=version).first()
        if signed is None:
            raise StudyError(f"The analysis plan has no version {version}.")
    if signed is None:
        plan, registered = AnalysisPlan.from_dict(snapshot.plan), snapshot.plan_sha256
    else:
        plan, registered = signed_plan(study, signed), signed.sha256
    if plan_sha256(plan) != registered:
        raise StudyError(CHANGED)

    def read() -> tuple[Document, AnalysisPlan]:
        check_intact(snapshot)
        return snapshot.data, plan

    return _report(snapshot, read, registered, False, post_hoc.signing(signed, opened))


# A page, its figures and its files are asked for one by one: each process keeps a few results, by
# the data that they were computed from, and by the stored row that these were read from.
_MOST_KEPT = 8
_kept: OrderedDict[tuple[object, ...], Report] = OrderedDict()
_lock = Lock()


def _report(
    snapshot: Snapshot | None,
    read: Callable[[], tuple[Document, AnalysisPlan]],
    registered: str,
    is_masked: bool,
    signing: Signing | None,
) -> Report:
    """Computed from what `read` gives, or kept from before, of the very same stored row."""
    if snapshot is None:  # a study that was locked before there were snapshots
        return computed(*read(), registered, is_masked, signing)
    row = fingerprint_of(snapshot)
    key = ("row", row, registered, is_masked, signing)
    found = _of_before(key)
    if found is None:
        found = computed(*read(), registered, is_masked, signing)
        _keep(key, found)
    return found


def computed(
    data: Document,
    plan: AnalysisPlan,
    registered: str,
    is_masked: bool,
    signing: Signing | None = None,
) -> Report:
    """The results of these data under this plan."""
    data_sha256 = sha256_of(data)
    key = ("data", data_sha256, plan_sha256(plan), is_masked, signing)
    found = _of_before(key)
    if found is not None:
        return found
    scores, regions = frames_of(data)
    choices, rankings = preference_frames(data)
    try:
        results = run_plan(scores, regions, plan, choices=choices, rankings=rankings)
    except (InputError, ValueError) as error:
        raise StudyError(f"The results cannot be computed: {error}") from None
    mark = signing.post_hoc if signing is not None else ""
    report = Report(data, plan, registered, data_sha256, is_masked, results, signing, mark)
    _keep(key, report)
    return report


def _of_before(key: tuple[object, ...]) -> Report | None:
    with _lock:
        if key not in _kept:
            return None
        _kept.move_to_end(key)
        return _kept[key]


def _keep(key: tuple[object, ...], report: Report) -> None:
    with _lock:
        _kept[key] = report
        while len(_kept) > _MOST_KEPT:
            _kept.popitem(last=False)
