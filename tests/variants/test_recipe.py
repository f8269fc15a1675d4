"""Recipes: what they may say, what those of the first version mean, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from django.conf import settings

from denoise_engine import available_methods
from denoise_engine.rawdata import Sampling
from denoise_engine.reconstruction import RECONSTRUCTION_METHODS
from readerstudy.studies.models import Arm
from readerstudy.studies.wording import recipe_in_words
from readerstudy.variants.raw_recipe import RawRecipe, raw_methods
from readerstudy.variants.recipe import (
    Recipe,
    RecipeError,
    TransferRecipe,
    known_methods,
    read_recipe,
)

FULL = {"kind": "full"}


def test_a_recipe_of_the_first_version_means_what_it_meant() -> None:
    stored = {
        "method": "ddlr",
        "model": "ddlr",
        "strength": {"kind": "target_snr_gain", "value": 1.7},
    }
    assert read_recipe(stored, "DLR") == Recipe(
        method="ddlr",
        strength="target_snr_gain",
        value=1.7,
        noise="level",
        bias_coils=None,
        native_grid="auto",
    )


@pytest.mark.parametrize("method", ["ddlr", "nlm", "wavelet"])
def test_every_method_of_the_engine_can_be_named(method: str) -> None:
    assert read_recipe({"method": method, "strength": FULL}, "DLR").method == method


def test_the_web_process_knows_the_methods_that_the_engine_has() -> None:
    assert known_methods() == (*available_methods(), "transfer", *raw_methods())
    assert set(raw_methods()) == set(RECONSTRUCTION_METHODS)


@pytest.mark.parametrize(
    ("stored", "read", "words"),
    [
        (
            {"method": "transfer", "model": "sr-unet", "factor": 8, "thick": "simulated"},
            TransferRecipe("sr-unet", 8, "simulated"),
            "Image quality transfer of standard, SR-U-net, factor 8, thick slices added up from "
            "thin ones (simulation)",
        ),
        (
            {"method": "unrolled", "acceleration": 4},
            RawRecipe("unrolled", Sampling(acceleration=4.0)),
            "Unrolled network of standard, R = 4",
        ),
        (
            {"method": "sense", "acceleration": 2, "second": 3, "centre": 20, "bound": 7},
            RawRecipe("sense", Sampling("regular", 2.0, 3, 20), bound=7.0),
            "SENSE of standard, R = 2 × 3, λ = 7",
        ),
        (
            {"method": "cs", "acceleration": 1.8, "sampling": "random", "penalty": 0.5},
            RawRecipe("cs", Sampling("random", 1.8), penalty=0.5),
            "Compressed sensing of standard, R = 1.8 (random), wavelet weight = 0.5",
        ),
        ({"method": "sense"}, RawRecipe("sense"), "SENSE of standard"),
    ],
)
def test_a_recipe_for_raw_data_is_read_by_its_method(
    stored: dict[str, Any], read: RawRecipe, words: str
) -> None:
    assert read_recipe(stored, "arm") == read
    arm = Arm(kind=Arm.Kind.DERIVED, source=Arm(name="standard"), recipe=stored)
    assert recipe_in_words(arm) == words


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ({"method": "sense", "strength": FULL}, "says nothing of strength"),
        ({"method": "cs", "bound": 5}, "bound belongs to the method sense"),
        ({"method": "sense", "bound": 0}, "bound lies between 0.1 and 1000"),
        ({"method": "sense", "bound": "5"}, "bound is a number"),
        ({"method": "sense", "acceleration": 2.5}, "2.5 is no whole number"),
        ({"method": "sense", "acceleration": 40}, "acceleration lies between 1 and 16"),
        ({"method": "sense", "sampling": "random"}, "say how many: acceleration"),
        ({"method": "sense", "acceleration": 4, "sampling": "spiral"}, "regular or random"),
        ({"method": "sense", "acceleration": 4, "centre": 4}, "16 to 128 lines, not 4"),
        ({"method": "sense", "acceleration": 4, "centre": True}, "centre is a whole number"),
        ({"method": "unrolled", "model": 3}, "the model is a name"),
    ],
)
def test_a_recipe_for_raw_data_that_cannot_be_followed(stored: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        read_recipe(stored, "arm")


def test_bias_noise_map_and_grid_are_read() -> None:
    stored = {
        "method": "nlm",
        "strength": {"kind": "blend", "value": 0.4},
        "noise": "map",
        "bias_coils": 8,
        "native_grid": "off",
    }
    assert read_recipe(stored, "NLM") == Recipe("nlm", "blend", 0.4, "map", 8, "off")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"method": "magic"}, "the method “magic” is unknown; known: ddlr"),
        ({"method": None}, "the method “None” is unknown"),
        ({"method": "nlm", "model": "ddlr", "strengh": 1}, "strengh"),
        ({"strength": 0.5}, "the strength None is unknown"),
        ({"strength": {"kind": "blend", "value": float("nan")}}, "needs a number"),
        ({"strength": {"kind": "blend", "value": -0.1}}, "between 0 and 1"),
        ({"strength": {"kind": "target_snr_gain", "value": 0.9}}, "1 or more"),
        ({"bias_coils": 0}, "from 1 (Rician) to 48, not 0"),
        ({"bias_coils": 49}, "to 48, not 49"),
        ({"bias_coils": True}, "not True"),
        ({"bias_coils": 1.5}, "not 1.5"),
        ({"native_grid": "never"}, "native grid is auto or off"),
        ({"noise": "guess"}, "noise is level or map"),
    ],
)
def test_what_cannot_be_followed_is_said(change: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError) as refusal:
        read_recipe({"method": "ddlr", "strength": FULL} | change, "DLR-fast")
    assert said in str(refusal.value)
    assert str(refusal.value).startswith("DLR-fast")


def test_the_protocol_page_says_a_recipe_in_words() -> None:
    source = Arm(code="DF", name="double-fast")
    arm = Arm(
        name="NLM",
        kind=Arm.Kind.DERIVED,
        source=source,
        recipe={"method": "nlm", "strength": {"kind": "blend", "value": 0}, "bias_coils": 1},
    )
    assert (
        recipe_in_words(arm) == "Non-local means of double-fast, blend 0, bias corrected (Rician)"
    )
    arm.recipe = {"method": "ddlr", "strength": FULL, "noise": "map", "native_grid": "off"}
    assert recipe_in_words(arm) == (
        "dDLR of double-fast, full strength, noise as a map, not taken to the acquired grid"
    )


def test_reading_a_recipe_and_showing_evidence_loads_no_torch() -> None:
    """The web process stays small: the network is the worker's."""
    code = (
        "import django, sys; django.setup(); import readerstudy.urls; "
        "from readerstudy.variants.recipe import read_recipe; "
        "read_recipe({'method': 'wavelet', 'strength': {'kind': 'full'}}, 'arm'); "
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=settings.BASE_DIR,
        env={"DJANGO_SETTINGS_MODULE": "tests.settings", "PATH": ""},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
