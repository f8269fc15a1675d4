"""The statistics of a reader study: regions, ratios, tests, agreement, tables and figures.

Pure functions on arrays and data frames; nothing here knows of the web platform.
"""

from analysis.agreement import gwet_ac, krippendorff_alpha, percent_agreement
from analysis.descriptives import Descriptives, describe
from analysis.estimates import Coefficient, Estimate, Interval
from analysis.example import ExampleStudy, example_study
from analysis.forced_choice import BradleyTerry, ForcedChoice, bradley_terry, forced_choice
from analysis.grading import (
    NonInferiority,
    non_inferiority,
    share_at_least,
    vgc,
)
from analysis.input_checks import InputError
from analysis.kappa import cohen_kappa, fleiss_kappa
from analysis.multiplicity import benjamini_hochberg
from analysis.noise import cnr, contrast_ratio, noise_sd, noise_warnings, snr
from analysis.ordinal import OrdinalFit, ordinal_gee, ordinal_regression
from analysis.paired import (
    SignedRankResult,
    hodges_lehmann,
    rank_biserial,
    signed_rank_test,
    smallest_p,
)
from analysis.plan import AnalysisPlan, PlanError
from analysis.plan_document import read_plan, write_plan
from analysis.power import SampleSize, power_signed_rank, sample_size_signed_rank
from analysis.ranking import FollowUp, Ranking, rank_arms
from analysis.ratios import PlanWarning
from analysis.regions import EllipseRegion, RegionStatistics, ellipse_region, region_statistics
from analysis.reliability import (
    BlandAltman,
    Repeatability,
    bland_altman,
    icc,
    kendall_w,
    repeatability,
)
from analysis.run import Results, run_plan

__all__ = [
    "AnalysisPlan",
    "BlandAltman",
    "BradleyTerry",
    "Coefficient",
    "Descriptives",
    "EllipseRegion",
    "Estimate",
    "ExampleStudy",
    "FollowUp",
    "ForcedChoice",
    "InputError",
    "Interval",
    "NonInferiority",
    "OrdinalFit",
    "PlanError",
    "PlanWarning",
    "Ranking",
    "RegionStatistics",
    "Repeatability",
    "Results",
    "SampleSize",
    "SignedRankResult",
    "benjamini_hochberg",
    "bland_altman",
    "bradley_terry",
    "cnr",
    "cohen_kappa",
    "contrast_ratio",
    "describe",
    "ellipse_region",
    "example_study",
    "fleiss_kappa",
    "forced_choice",
    "gwet_ac",
    "hodges_lehmann",
    "icc",
    "kendall_w",
    "krippendorff_alpha",
    "noise_sd",
    "noise_warnings",
    "non_inferiority",
    "ordinal_gee",
    "ordinal_regression",
    "percent_agreement",
    "power_signed_rank",
    "rank_arms",
    "rank_biserial",
    "read_plan",
    "region_statistics",
    "repeatability",
    "run_plan",
    "sample_size_signed_rank",
    "share_at_least",
    "signed_rank_test",
    "smallest_p",
    "snr",
    "vgc",
    "write_plan",
]
