"""The published lumbar validation as input of `run_plan`: its golden data and its plan."""

from pathlib import Path

import pandas as pd

from analysis import AnalysisPlan

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = ROOT / "readerstudy" / "demo" / "data" / "published"
REFERENCE = Path(__file__).resolve().parent / "reference"
SHARED_REFERENCE = Path(__file__).resolve().parents[2] / "../shared/reference"

ARMS = ("STD", "DF", "DLR_DF", "TF", "DLR_TF")
CRITERIA = (
    "perceived_snr",
    "sharpness",
    "contrast",
    "structure_visibility",
    "artifact",
    "overall",
)
PLAN = AnalysisPlan(
    arms=ARMS,
    control="STD",
    comparisons=(("DF", "DLR_DF"), ("TF", "DLR_TF"), ("STD", "DLR_DF"), ("STD", "DLR_TF")),
    criteria=CRITERIA,
    tissues=("fat", "csf", "vertebra", "disc", "cord", "muscle"),
    dlr_arms=("DLR_DF", "DLR_TF"),
    score_range=(1, 5),
)


def scores(folder: Path = PUBLISHED) -> pd.DataFrame:
    frame = pd.read_csv(folder / "table3_reader_scores_long.csv")
    return frame.rename(columns={"case": "volunteer", "sequence": "arm"})


def regions(folder: Path = PUBLISHED) -> pd.DataFrame:
    frame = pd.read_csv(folder / "table2_roi_long.csv")
    return frame.rename(columns={"case": "volunteer", "sequence": "arm", "roi": "tissue"})
