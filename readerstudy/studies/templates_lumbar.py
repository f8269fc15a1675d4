"""The lumbar protocol: accelerated acquisitions, with and without deep-learning reconstruction.

Five arms, six criteria scored relative to the control, four comparisons and seven regions, as in
the published 1.5T validation that the platform's golden data reproduce.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import transaction

from readerstudy.accounts.models import User
from readerstudy.audit.services import record

from .models import Arm, Comparison, Criterion, Study, Tissue
from .protocol import protocol_of
from .services import do_create_study, do_update_study
from .wording_lumbar import LUMBAR_WORDINGS

# The gain in SNR of the product that the paper validates.
TARGET_SNR_GAIN = 1.7
REGION_AREA_MM2 = 30.0


@dataclass(frozen=True)
class ArmTemplate:
    code: str
    name: str
    source: str = ""
    is_control: bool = False


ARMS = (
    ArmTemplate("STD", "standard", is_control=True),
    ArmTemplate("DF", "double-fast"),
    ArmTemplate("DLR_DF", "DLR-double-fast", source="DF"),
    ArmTemplate("TF", "triple-fast"),
    ArmTemplate("DLR_TF", "DLR-triple-fast", source="TF"),
)

CRITERIA = (
    ("perceived_snr", "Perceived SNR"),
    ("sharpness", "Sharpness"),
    ("contrast", "Contrast"),
    ("structure_visibility", "Structure visibility"),
    ("artifact", "Artifact"),
    ("overall", "Overall image quality"),
)

COMPARISONS = (("DF", "DLR_DF"), ("TF", "DLR_TF"), ("STD", "DLR_DF"), ("STD", "DLR_TF"))

# Colours told apart with every common colour vision (Okabe and Ito), on a grey image.
TISSUES = (
    ("fat", "Fat", Tissue.Purpose.TISSUE, "#e69f00"),
    ("csf", "CSF", Tissue.Purpose.TISSUE, "#56b4e9"),
    ("vertebra", "Vertebra", Tissue.Purpose.TISSUE, "#f0e442"),
    ("disc", "Disc", Tissue.Purpose.TISSUE, "#cc79a7"),
    ("cord", "Cord", Tissue.Purpose.TISSUE, "#d55e00"),
    ("muscle", "Muscle", Tissue.Purpose.REFERENCE, "#009e73"),
    ("air", "Background air", Tissue.Purpose.AIR, "#f5f5f5"),
)


@transaction.atomic
def create_lumbar_study(
    slug: str, title: str, actor: User | None, notice: str = "", credits: str = ""
) -> Study:
    """A draft study with the lumbar protocol; `actor`, if any, becomes its coordinator."""
    study = do_create_study(slug, title, actor, notice=notice, credits=credits)
    words = LUMBAR_WORDINGS[study.reading_mode]
    study.reading_instructions = words.instructions
    study.save(update_fields=["reading_instructions"])
    arms = _create_arms(study)
    for position, (code, name) in enumerate(CRITERIA, start=1):
        Criterion.objects.create(
            study=study,
            code=code,
            name=name,
            question=words.questions[code],
            anchors=list(words.anchors),
            position=position,
        )
    for position, (first, second) in enumerate(COMPARISONS, start=1):
        Comparison.objects.create(
            study=study, first=arms[first], second=arms[second], position=position
        )
    for position, (code, name, purpose, colour) in enumerate(TISSUES, start=1):
        Tissue.objects.create(
            study=study,
            code=code,
            name=name,
            purpose=purpose,
            colour=colour,
            area_mm2=REGION_AREA_MM2,
            position=position,
        )
    record(
        "studies.protocol.filled", actor, study_id=study.pk, subject=study, new=protocol_of(study)
    )
    return study


@transaction.atomic
def do_update_settings(study: Study, actor: User | None, **changes: Any) -> Study:
    """Change a draft's settings; with another mode of reading, the criteria are worded anew.

    Wording that somebody has written stays: only what stands as the template gave it is changed.
    """
    before = LUMBAR_WORDINGS[Study.objects.get(pk=study.pk).reading_mode]
    study = do_update_study(study, actor, **changes)
    after = LUMBAR_WORDINGS[study.reading_mode]
    if after is before:
        return study
    reworded = []
    for criterion in study.criteria.all():
        question = before.questions.get(criterion.code)
        if (criterion.question, criterion.anchors) != (question, list(before.anchors)):
            continue
        criterion.question = after.questions[criterion.code]
        criterion.anchors = list(after.anchors)
        criterion.save(update_fields=["question", "anchors"])
        reworded.append(criterion.code)
    if study.reading_instructions == before.instructions:
        do_update_study(study, actor, reading_instructions=after.instructions)
    record(
        "studies.criteria.reworded",
        actor,
        study_id=study.pk,
        subject=study,
        new={"mode": study.reading_mode, "criteria": reworded},
    )
    return study


def reworded(document: dict[str, Any], before: str) -> dict[str, Any]:
    """A design whose mode of reading was `before`: what stands as the template gave it for that
    mode is worded for the mode that it has now; what somebody has written stays."""
    reading = document["reading"]
    old, new = LUMBAR_WORDINGS.get(before), LUMBAR_WORDINGS.get(reading["mode"])
    if old is None or new is None or old is new:
        return document
    criteria = [
        {**said, "question": new.questions[said["code"]], "anchors": list(new.anchors)}
        if (said["question"], said["anchors"])
        == (old.questions.get(said["code"]), list(old.anchors))
        else said
        for said in document["criteria"]
    ]
    if reading["instructions"] == old.instructions:
        reading = {**reading, "instructions": new.instructions}
    return {**document, "criteria": criteria, "reading": reading}


def _create_arms(study: Study) -> dict[str, Arm]:
    arms: dict[str, Arm] = {}
    for position, template in enumerate(ARMS, start=1):
        derived = bool(template.source)
        arms[template.code] = Arm.objects.create(
            study=study,
            code=template.code,
            name=template.name,
            position=position,
            kind=Arm.Kind.DERIVED if derived else Arm.Kind.ACQUIRED,
            is_control=template.is_control,
            source=arms[template.source] if derived else None,
            recipe={
                "method": "ddlr",
                "model": "ddlr",
                "strength": {"kind": "target_snr_gain", "value": TARGET_SNR_GAIN},
            }
            if derived
            else {},
        )
    return arms
