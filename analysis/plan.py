"""The analysis plan: what will be computed, fixed before the arms are known."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from analysis.noise import noise_estimate

READER_SUMMARIES = ("median", "mean", "each")
METHODS = ("exact", "asymptotic")
ZERO_RULES = ("drop", "pratt")
FAMILIES = ("row", "column", "stage", "all")
MISSING_RULES = ("available", "complete")
DEFAULT_AGREEMENT = ("percent_agreement", "krippendorff_alpha", "gwet_ac")
AGREEMENT_STATISTICS = (
    *DEFAULT_AGREEMENT,
    *("cohen_kappa", "fleiss_kappa", "kendall_w", "icc", "repeatability"),
)
SENSITIVITY_ANALYSES = ("vgc", "ordinal_regression", "ordinal_gee", "friedman")
CONTRASTS = ("contrast_ratio", "contrast_difference")
DEFAULT_BESIDE = ("difference", "tissue_sd", *CONTRASTS)
CHOICE_SUMMARIES = ("majority", "each")
_LISTS = (
    *("arms", "criteria", "tissues", "dlr_arms", "agreement", "sensitivity"),
    *("beside", "choice_criteria", "ranking_criteria"),
)
# Written only where they differ from their default: a plan registered before they existed keeps
# its hash.
_LATER_ENTRIES = (
    *("margin", "sensitivity", "beside"),
    *("choice_criteria", "choice_summary", "ranking_criteria"),
)


class PlanError(ValueError):
    """The plan contradicts itself; the message lists every fault, for people."""


@dataclass(frozen=True)
class AnalysisPlan:
    """What `run_plan` computes.

    Attributes
    ----------
    arms : tuple of str
        Codes, in protocol order.
    control : str
        The code of the control arm.
    comparisons : tuple of (str, str)
        Pairs (a, b) of arms; effects are b minus a.
    criteria : tuple of str
        Codes of what is scored, in order.
    tissues : tuple of str
        Codes of the regions, in order, without air, with the reference tissue.
    air : str
        The region of background air; empty when the noise estimate needs none.
    reference_tissue : str
        The tissue that CNR is taken against (muscle); empty for no CNR.
    noise_estimate : str
        See `analysis.noise`.
    reader_summary : {"median", "mean", "each"}
        One score a volunteer, arm and criterion over the readers, or each reader alone.
    method : {"exact", "asymptotic"}
    zeros : {"drop", "pratt"}
    family : {"row", "column", "stage", "all"}
        What BH is taken over: the comparisons of one table row; one comparison over the rows of its
        metric; all SNR and CNR tests, and all score tests; everything.
    alpha : float
    decimals : int
        Rounding of differences before ranking.
    dlr_arms : tuple of str
        Arms whose images are DLR-processed, for the warnings. Leave empty while arms are masked.
    missing : {"available", "complete"}
        Summaries over the readers who scored, or only where every reader scored.
    score_range : (float, float) or None
        Lowest and highest allowed score; None for no check.
    agreement : tuple of str
        Agreement statistics between readers, a criterion each: percent_agreement,
        krippendorff_alpha (ordinal), gwet_ac (AC2, quadratic), cohen_kappa (quadratic, each pair of
        readers), fleiss_kappa, kendall_w, icc (2,1); repeatability (each reader's hidden repeats).
    margin : float or None
        Non-inferiority margin in score points, fixed before the study; None for no such test.
    sensitivity : tuple of str
        Analyses beside the planned test: vgc, ordinal_regression, ordinal_gee, friedman.
    beside : tuple of str
        What is shown beside the ratios of `noise_estimate`, without a test: other noise estimates,
        contrast_ratio, contrast_difference. The default names those that a quieter background
        alone does not raise.
    choice_criteria : tuple of str
        Codes of the questions of a forced choice between two arms, in order.
    choice_summary : {"majority", "each"}
        One choice a volunteer by the majority of the readers, or each reader alone.
    ranking_criteria : tuple of str
        Codes of what all arms were ranked by, in order; readers are summarised as scores are.

    Raises
    ------
    PlanError
        On construction, naming every fault.

    Examples
    --------
    >>> plan = AnalysisPlan(arms=("STD", "DLR"), control="STD", comparisons=(("STD", "DLR"),),
    ...                     criteria=("sharpness",))
    >>> AnalysisPlan.from_dict(plan.to_dict()) == plan
    True
    """

    arms: tuple[str, ...]
    control: str
    comparisons: tuple[tuple[str, str], ...]
    criteria: tuple[str, ...] = ()
    tissues: tuple[str, ...] = ()
    air: str = "air"
    reference_tissue: str = "muscle"
    noise_estimate: str = "air_sd"
    reader_summary: str = "median"
    method: str = "exact"
    zeros: str = "drop"
    family: str = "row"
    alpha: float = 0.05
    decimals: int = 6
    dlr_arms: tuple[str, ...] = ()
    missing: str = "available"
    score_range: tuple[float, float] | None = None
    agreement: tuple[str, ...] = DEFAULT_AGREEMENT
    margin: float | None = None
    sensitivity: tuple[str, ...] = ()
    beside: tuple[str, ...] = DEFAULT_BESIDE
    choice_criteria: tuple[str, ...] = ()
    choice_summary: str = "majority"
    ranking_criteria: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in _LISTS:
            object.__setattr__(self, name, _codes(name, getattr(self, name)))
        object.__setattr__(self, "comparisons", _pairs(self.comparisons))
        if self.score_range is not None:
            object.__setattr__(self, "score_range", _range(self.score_range))
        faults = list(self._faults())
        if faults:
            raise PlanError(" ".join(faults))
        if self.margin is not None:
            # 1 and 1.0 are one margin: equal plans have one text, and one hash.
            object.__setattr__(self, "margin", float(self.margin))

    def _faults(self) -> list[str]:
        faults: list[str] = []
        if len(self.arms) < 2:
            faults.append("The plan needs at least two arms.")
        for name in _LISTS:
            twice = sorted({code for code in getattr(self, name) if _count(self, name, code) > 1})
            if twice:
                faults.append(f"{name} names {', '.join(twice)} more than once.")
        if self.control not in self.arms:
            faults.append(f'The control "{self.control}" is not among the arms.')
        if not self.comparisons:
            faults.append("The plan needs at least one comparison.")
        for pair in self.comparisons:
            unknown = [code for code in pair if code not in self.arms]
            if unknown:
                faults.append(f"The comparison {' v '.join(pair)} names an unknown arm.")
            if pair[0] == pair[1]:
                faults.append(f"The comparison {' v '.join(pair)} compares an arm with itself.")
        if len(set(self.comparisons)) < len(self.comparisons):
            faults.append("A comparison is named more than once.")
        for code in self.dlr_arms:
            if code not in self.arms:
                faults.append(f'dlr_arms names "{code}", which is not among the arms.')
        faults += self._region_faults()
        for name, allowed in (
            ("reader_summary", READER_SUMMARIES),
            ("method", METHODS),
            ("zeros", ZERO_RULES),
            ("family", FAMILIES),
            ("missing", MISSING_RULES),
            ("choice_summary", CHOICE_SUMMARIES),
        ):
            if getattr(self, name) not in allowed:
                faults.append(
                    f'{name} is one of {", ".join(allowed)}, not "{getattr(self, name)}".'
                )
        for name, known in (
            ("agreement", AGREEMENT_STATISTICS),
            ("sensitivity", SENSITIVITY_ANALYSES),
        ):
            for code in getattr(self, name):
                if code not in known:
                    faults.append(f'{name} names "{code}"; known are {_listed(known)}.')
        if self.margin is not None and not (
            _is_number(self.margin) and 0 < self.margin < float("inf")
        ):
            faults.append("margin must be a positive number of score points.")
        if not (_is_number(self.alpha) and 0 < self.alpha < 1):
            faults.append("alpha must lie between 0 and 1.")
        whole = isinstance(self.decimals, int) and not isinstance(self.decimals, bool)
        if not (whole and 0 <= self.decimals <= 12):
            faults.append("decimals must be a whole number from 0 to 12.")
        if self.score_range is not None and not self.score_range[0] < self.score_range[1]:
            faults.append("score_range must be two numbers, the lower first.")
        return faults

    def _region_faults(self) -> list[str]:
        faults: list[str] = []
        for code in self.beside:
            if code not in CONTRASTS:
                try:
                    noise_estimate(code)
                except ValueError:
                    faults.append(
                        f'beside names "{code}", which is neither a noise estimate nor '
                        f"{' nor '.join(CONTRASTS)}."
                    )
        if self.ranking_criteria and len(self.arms) < 3:
            faults.append("A ranking needs at least three arms.")
        try:
            estimate = noise_estimate(self.noise_estimate)
        except ValueError as error:
            return [*faults, str(error)]
        if not self.tissues:
            return faults
        if self.air and self.air in self.tissues:
            faults.append(f'tissues must not hold the air region "{self.air}".')
        if self.reference_tissue and self.reference_tissue not in self.tissues:
            faults.append(
                f'The reference tissue "{self.reference_tissue}" is not among the tissues; '
                "leave it empty for no CNR."
            )
        if estimate.from_air and not self.air:
            faults.append(f"The noise estimate {estimate.name} needs an air region.")
        return faults

    def to_dict(self) -> dict[str, Any]:
        """The plan as plain data for JSON: lists, strings and numbers.

        Examples
        --------
        >>> plan = AnalysisPlan(arms=("A", "B"), control="A", comparisons=(("A", "B"),))
        >>> plan.to_dict()["comparisons"]
        [['A', 'B']]
        """
        plain = asdict(self)
        for name in _LISTS:
            plain[name] = list(plain[name])
        plain["comparisons"] = [list(pair) for pair in self.comparisons]
        plain["score_range"] = list(self.score_range) if self.score_range else None
        for field in fields(self):
            if field.name in _LATER_ENTRIES and getattr(self, field.name) == field.default:
                del plain[field.name]
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "AnalysisPlan":
        """Read a plan from plain data.

        Parameters
        ----------
        plain : mapping
            As `to_dict` writes it; optional entries may be left out.

        Raises
        ------
        PlanError
            If an entry is unknown, missing or wrong.

        Examples
        --------
        >>> AnalysisPlan.from_dict({"arms": ["A", "B"], "control": "A"})
        Traceback (most recent call last):
        ...
        analysis.plan.PlanError: The plan lacks: comparisons.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(plain) - known)
        if unknown:
            raise PlanError(f"The plan holds unknown entries: {_listed(unknown)}.")
        lacking = [name for name in ("arms", "control", "comparisons") if name not in plain]
        if lacking:
            raise PlanError(f"The plan lacks: {_listed(lacking)}.")
        return cls(**dict(plain))


def _is_number(value: object) -> bool:
    # True is 1 to Python, and no number to a reader of the plan.
    return isinstance(value, int | float) and not isinstance(value, bool)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


def _count(plan: AnalysisPlan, name: str, code: str) -> int:
    return int(getattr(plan, name).count(code))


def _codes(name: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise PlanError(f"{name} must be a list of codes.")
    if not all(isinstance(code, str) and code for code in value):
        raise PlanError(f"{name} must hold codes only: texts that are not empty.")
    return tuple(value)


def _pairs(value: object) -> tuple[tuple[str, str], ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise PlanError("comparisons must be a list of pairs of arms.")
    pairs: list[tuple[str, str]] = []
    for pair in value:
        codes = _codes("Each comparison", pair)
        if len(codes) != 2:
            raise PlanError("Each comparison must name two arms.")
        pairs.append((codes[0], codes[1]))
    return tuple(pairs)


def _range(value: object) -> tuple[float, float]:
    if not isinstance(value, Sequence) or len(value) != 2:
        raise PlanError("score_range must be two numbers, the lower first.")
    if not all(isinstance(limit, int | float) for limit in value):
        raise PlanError("score_range must be two numbers, the lower first.")
    return float(value[0]), float(value[1])
