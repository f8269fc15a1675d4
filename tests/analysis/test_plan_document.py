"""The plan as a document: what is written reads back, and every fault is named."""

import hashlib
import json
from dataclasses import fields, replace
from typing import Any

import pytest

from analysis import AnalysisPlan, PlanError, read_plan, write_plan
from analysis.plan_document import SCHEMA
from tests.analysis.published_study import PLAN


def changed(**entries: Any) -> str:
    return json.dumps(json.loads(write_plan(PLAN)) | entries)


def test_a_plan_reads_back_as_it_was_written() -> None:
    full = replace(
        PLAN,
        margin=0.5,
        sensitivity=("vgc", "friedman"),
        agreement=("icc", "repeatability"),
        noise_estimate="noncentral_chi(8)",
    )
    for plan in (PLAN, full):
        assert read_plan(write_plan(plan)) == plan


def test_the_schema_knows_every_entry_of_a_plan_and_no_other() -> None:
    known = set(json.loads(SCHEMA.read_text())["properties"])
    assert known == {field.name for field in fields(AnalysisPlan)} | {"format", "version"}


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"family": "table"}, r"plan, family: 'table' is not one of"),
        ({"comparisons": [["DF", "DLR_DF"], ["TF"]]}, r"plan, comparisons\[1\]: \['TF'\] is too"),
        ({"alpha": 5}, r"plan, alpha: 5 is greater"),
        ({"alpha": "5 %"}, r"plan, alpha: '5 %' is not of type 'number'"),
        ({"margin": -1}, r"plan, margin: -1 is less"),
        ({"arms": ["STD", 3]}, r"plan, arms\[1\]: 3 is not of type 'string'"),
        ({"colour": "red"}, r"'colour' was unexpected"),
        ({"version": 2}, r"plan, version: this program reads version 1, not 2"),
        ({"format": "other"}, r"plan, format: 'readerstudy-analysis-plan' was expected"),
        ({"noise_estimate": "guess"}, r"plan, noise_estimate: 'guess' does not match"),
        ({"control": "X"}, r'The control "X" is not among the arms'),
        ({"noise_estimate": "noncentral_chi(64)"}, r"1 to 32 channels"),
    ],
)
def test_a_fault_is_named_with_its_place(entries: dict[str, Any], words: str) -> None:
    with pytest.raises(PlanError, match=words):
        read_plan(changed(**entries))


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(PlanError) as caught:
        read_plan(changed(family="table", zeros="keep"))
    assert "plan, family" in str(caught.value)
    assert "plan, zeros" in str(caught.value)


def test_text_that_is_no_plan_is_refused_with_its_place() -> None:
    with pytest.raises(PlanError, match="plan, line 2, column 3: no JSON here"):
        read_plan("{\n  arms: []\n}")
    with pytest.raises(PlanError, match="plan, alpha: the entry is there twice"):
        read_plan('{"alpha": 0.05, "alpha": 0.01}')
    with pytest.raises(PlanError, match="NaN is not a number"):
        read_plan('{"alpha": NaN}')
    with pytest.raises(PlanError, match=r"is not of type 'object'"):
        read_plan("[]")


def test_the_hash_of_a_plan_registered_earlier_stays() -> None:
    # Entries that came later are not written where they are not used.
    plain = json.dumps(PLAN.to_dict(), sort_keys=True).encode()
    assert hashlib.sha256(plain).hexdigest() == (
        "4cdb18fc6ec894948bb905ed1e3b91923e532f59cca3725023a0b211d300a380"
    )
    assert "margin" in replace(PLAN, margin=0.5).to_dict()
