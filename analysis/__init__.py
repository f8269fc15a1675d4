"""The statistics of a reader study: regions, ratios, tests, agreement, tables and figures.

Pure functions on arrays and data frames; nothing here knows of the web platform.
"""

from analysis.agreement import gwet_ac, krippendorff_alpha, percent_agreement
from analysis.descriptives import Descriptives, describe
from analysis.estimates import Estimate, Interval
from analysis.input_frames import InputError
from analysis.multiplicity import benjamini_hochberg
from analysis.noise import cnr, contrast_ratio, noise_sd, noise_warnings, snr
from analysis.paired import (
    SignedRankResult,
    hodges_lehmann,
    rank_biserial,
    signed_rank_test,
    smallest_p,
)
from analysis.plan import AnalysisPlan, PlanError
from analysis.ratios import PlanWarning
from analysis.regions import EllipseRegion, RegionStatistics, ellipse_region, region_statistics
from analysis.run import Results, run_plan

__all__ = [
    "AnalysisPlan",
    "Descriptives",
    "EllipseRegion",
    "Estimate",
    "InputError",
    "Interval",
    "PlanError",
    "PlanWarning",
    "RegionStatistics",
    "Results",
    "SignedRankResult",
    "benjamini_hochberg",
    "cnr",
    "contrast_ratio",
    "describe",
    "ellipse_region",
    "gwet_ac",
    "hodges_lehmann",
    "krippendorff_alpha",
    "noise_sd",
    "noise_warnings",
    "percent_agreement",
    "rank_biserial",
    "region_statistics",
    "run_plan",
    "signed_rank_test",
    "smallest_p",
    "snr",
]
