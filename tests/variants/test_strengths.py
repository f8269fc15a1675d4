"""Several arms of one study from one source: other strengths, other methods, other steps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from denoise_engine import load_method
from denoise_engine.evidence import gather_evidence
from readerstudy.imaging.models import Series, Volunteer
from readerstudy.imaging.selectors import load_volume
from readerstudy.jobs.models import Job
from readerstudy.jobs.worker import run_pending
from readerstudy.studies.models import Arm
from readerstudy.variants.derive import provenance_of
from readerstudy.variants.models import Variant
from readerstudy.variants.recipe import Recipe
from tests.factories import make_study

from .scans import add_derived_arm, lumbar, store

pytestmark = pytest.mark.django_db


@pytest.fixture
def volunteer() -> Volunteer:
    """Of a study whose own derived arms are out of the way."""
    study = make_study()
    study.comparisons.all().delete()
    study.arms.filter(kind=Arm.Kind.DERIVED).delete()
    return Volunteer.objects.create(study=study, code="V01")


def made(volunteer: Volunteer) -> dict[str, Series]:
    """What the worker made, by the code of its arm."""
    store(volunteer, "DF", lumbar())
    run_pending("gpu")
    for variant in Variant.objects.select_related("job"):
        assert variant.job is not None
        assert variant.job.state == Job.State.SUCCEEDED, variant.job.error
    return {
        series.arm.code: series
        for series in Series.objects.filter(variant__isnull=False).select_related(
            "arm", "volunteer"
        )
    }


def change_of(series: Series) -> float:
    """SD of what was taken away."""
    source = Series.objects.get(volunteer=series.volunteer, arm=series.arm.source)
    return float(np.std(load_volume(source) - load_volume(series)))


def test_a_study_holds_several_strengths_of_one_source(volunteer: Volunteer) -> None:
    for code, strength in {
        "DLR_30": {"kind": "blend", "value": 0.3},
        "DLR_17": {"kind": "target_snr_gain", "value": 1.7},
        "DLR_FULL": {"kind": "full"},
    }.items():
        add_derived_arm(volunteer.study, code, {"method": "ddlr", "strength": strength})
    series = made(volunteer)
    weak, middle, strong = (series[code] for code in ("DLR_30", "DLR_17", "DLR_FULL"))
    assert change_of(weak) < change_of(middle) < change_of(strong)
    assert weak.provenance["blend"] == pytest.approx(0.3)
    assert strong.provenance["blend"] == 1
    assert middle.provenance["achieved_gain"] == pytest.approx(1.7, rel=0.03)
    assert 1 < weak.provenance["achieved_gain"] < 1.7 < strong.provenance["achieved_gain"]
    # One network and one noise level: the strengths lie on one line between input and output.
    source = load_volume(Series.objects.get(arm__code="DF"))
    expected = 0.3 * (load_volume(strong) - source)
    assert np.allclose(load_volume(weak) - source, expected, atol=0.05)


def test_a_comparator_a_bias_step_and_a_noise_map_are_arms_too(volunteer: Volunteer) -> None:
    half = {"kind": "blend", "value": 0.5}
    recipes = {
        "NLM": {"method": "nlm", "strength": half},
        "PLAIN": {"method": "ddlr", "strength": half},
        "UNBIASED": {"method": "ddlr", "strength": half, "bias_coils": 1},
        "MAPPED": {"method": "ddlr", "strength": half, "noise": "map", "native_grid": "off"},
    }
    for code, recipe in recipes.items():
        add_derived_arm(volunteer.study, code, recipe)
    series = made(volunteer)
    nlm, plain, unbiased = (series[code] for code in ("NLM", "PLAIN", "UNBIASED"))
    assert nlm.provenance["method"] == "nlm"
    assert nlm.provenance["weights_sha256"] == ""
    assert not np.allclose(load_volume(nlm), load_volume(plain), atol=1)
    assert plain.provenance["bias"] is None
    assert unbiased.provenance["bias"]["coils"] == 1
    # The mean of Rician noise lies above the signal: without it, nothing gets brighter.
    assert np.all(load_volume(unbiased) <= load_volume(plain) + 0.1)
    assert load_volume(unbiased).mean() < load_volume(plain).mean()
    mapped = series["MAPPED"].provenance
    assert "map" in mapped["sigma_method"]
    assert mapped["maps"]["noise_sd"]["lowest"] < mapped["maps"]["noise_sd"]["highest"]


def test_the_record_calls_a_noise_level_untrusted_once_the_evidence_does(
    volunteer: Volunteer,
) -> None:
    source = store(volunteer, "DF", lumbar())
    volume = np.array(load_volume(source))
    result = load_method("wavelet").denoise(volume, noise=60.0, native_grid="off")
    evidence = gather_evidence(volume, result)
    doubted = replace(evidence, figures=evidence.figures | {"noise_trusted": False})
    made = provenance_of(source, Recipe("wavelet", "full"), result, doubted)
    assert result.sigma_trusted
    assert made["sigma_trusted"] is made["qc"]["noise_trusted"] is False
