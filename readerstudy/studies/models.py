"""The protocol of a reader study.

A *study* compares *arms* (ways of making the images) by *criteria* that readers score and by
*tissues* in which regions are measured. One arm is the control. A derived arm is filled by a
*recipe* from another arm. *Comparisons* are pairs of arms named before any reading starts; the
*plan* says how they are tested. *Members* hold one or more roles in the study.

A study moves one way: draft → reading (protocol frozen, order stored) → locked (no score or
region may change) → unblinded (the letters that stood for the arms are opened).
"""

from __future__ import annotations

import uuid

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

CODE = RegexValidator(
    r"^[A-Za-z0-9][A-Za-z0-9_-]*$", "Use letters, digits, hyphen and underscore only."
)


class Role(models.TextChoices):
    COORDINATOR = "coordinator", "Coordinator"
    SITE_COORDINATOR = "site_coordinator", "Site coordinator"
    READER = "reader", "Reader"
    STATISTICIAN = "statistician", "Statistician"


class Study(models.Model):
    class State(models.TextChoices):
        DRAFT = "draft", "Being prepared"
        READING = "reading", "Reading"
        LOCKED = "locked", "Locked"
        UNBLINDED = "unblinded", "Unblinded"

    class ReadingMode(models.TextChoices):
        RELATIVE = "relative", "Candidate beside the control, five points"
        ABSOLUTE = "absolute", "One image, five points"
        CHOICE = "choice", "Forced choice between the two arms of a comparison"
        RANKING = "ranking", "Ranking of all arms of a volunteer"

    class SidePolicy(models.TextChoices):
        CONTROL_LEFT = "control_left", "Control on the left"
        BALANCED = "balanced", "Balanced over the session"

    class ChangeReason(models.TextChoices):
        NEVER = "never", "Never"
        SUBMITTED = "submitted", "For every change of a submitted item"
        ALWAYS = "always", "For every change"

    class WarningMaps(models.TextChoices):
        NEVER = "never", "Not shown to readers"
        ALIKE = "alike", "Shown over all arms alike: one map for all"
        OPEN = "open", "Each image’s own: the reading is not blinded"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slug = models.SlugField(unique=True)  # stands in addresses
    title = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    # Shown on every page and written into every export, e.g. "Simulated acceleration: …".
    notice = models.CharField(max_length=300, blank=True)
    credits = models.TextField(blank=True)  # where the images come from and under which licence
    state = models.CharField(max_length=10, choices=State.choices, default=State.DRAFT)

    reading_mode = models.CharField(
        max_length=10, choices=ReadingMode.choices, default=ReadingMode.RELATIVE
    )
    side_policy = models.CharField(
        max_length=20, choices=SidePolicy.choices, default=SidePolicy.CONTROL_LEFT
    )
    minimum_gap = models.PositiveSmallIntegerField(
        default=1, help_text="Items of other volunteers between two items of one volunteer."
    )
    repeat_percent = models.PositiveSmallIntegerField(
        default=0, validators=[MaxValueValidator(50)], help_text="Hidden repeats, % of the items."
    )
    occasions = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1), MaxValueValidator(5)]
    )
    washout_days = models.PositiveSmallIntegerField(
        default=28, validators=[MinValueValidator(1), MaxValueValidator(730)]
    )
    practice_items = models.PositiveSmallIntegerField(default=0, validators=[MaxValueValidator(20)])
    # Codes of the volunteers that serve practice alone; none: practice shows the study's own.
    practice_volunteers = models.JSONField(default=list, blank=True)
    pause_after_minutes = models.PositiveSmallIntegerField(  # of active reading; 0: never
        default=0, validators=[MaxValueValidator(240)]
    )
    pause_minutes = models.PositiveSmallIntegerField(
        default=5, validators=[MinValueValidator(1), MaxValueValidator(60)]
    )
    may_go_back = models.BooleanField(default=True)
    change_reason = models.CharField(
        max_length=10, choices=ChangeReason.choices, default=ChangeReason.SUBMITTED
    )
    # Where images that a network made are not to be relied on: a map over one arm tells the arm.
    warning_maps = models.CharField(
        max_length=10, choices=WarningMaps.choices, default=WarningMaps.NEVER
    )
    reading_instructions = models.TextField(blank=True)
    # What the planned numbers rest on: volunteers and the difference expected; see `planning`.
    planning = models.JSONField(default=dict, blank=True)

    # The protocol as launched, canonical JSON, and its hash.
    protocol = models.JSONField(null=True, blank=True)
    protocol_sha256 = models.CharField(max_length=64, blank=True)
    # A fresh random letter for each arm, drawn at launch: {"DF": "C", …}. Readers never see it.
    arm_letters = models.JSONField(default=dict, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    launched_at = models.DateTimeField(null=True, blank=True)
    locked_at = models.DateTimeField(null=True, blank=True)
    unblinded_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["title"]
        verbose_name_plural = "studies"

    def __str__(self) -> str:
        return self.title

    def clean(self) -> None:
        if (
            self.reading_mode == self.ReadingMode.CHOICE
            and self.side_policy != self.SidePolicy.BALANCED
        ):
            raise ValidationError(
                {
                    "side_policy": "Forced choice needs sides that are balanced over the session: "
                    "with fixed ones the side would tell the arm."
                }
            )
        codes = self.practice_volunteers
        if not isinstance(codes, list) or not all(isinstance(code, str) for code in codes):
            raise ValidationError({"practice_volunteers": "This is a list of volunteers' codes."})

    @property
    def is_draft(self) -> bool:
        return self.state == self.State.DRAFT

    @property
    def is_locked(self) -> bool:
        return self.state in {self.State.LOCKED, self.State.UNBLINDED}

    @property
    def is_unblinded(self) -> bool:
        return self.state == self.State.UNBLINDED


class Amendment(models.Model):
    """One change of a launched protocol. The launch is version 1; the first amendment is 2.

    What readers already went by stays: arms, criteria, comparisons, regions, the order and how it
    is read cannot be amended (see `amendments`). Rows are only ever added.
    """

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="amendments")
    version = models.PositiveSmallIntegerField()
    reason = models.CharField(max_length=1000)
    # {field: {"from": …, "to": …}}, in the protocol's own words.
    changes = models.JSONField()
    protocol = models.JSONField()  # the whole of it, as amended
    protocol_sha256 = models.CharField(max_length=64)
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    made_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["study", "version"]
        constraints = [
            models.UniqueConstraint(fields=["study", "version"], name="one_amendment_a_version")
        ]

    def __str__(self) -> str:
        return f"version {self.version} of {self.study}"


# Until the lock, nobody may learn how an arm fares.
BLINDED_STATES = (Study.State.DRAFT, Study.State.READING)


class Site(models.Model):
    """One hospital of a study that several take part in. A study without sites is one hospital's.

    Volunteers belong to one; their codes are one space over the whole study. A site coordinator
    sees one site's volunteers and no other; a reader with a site reads its volunteers alone
    (local reading), one without reads all (central reading).
    """

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="sites")
    code = models.CharField(max_length=20, validators=[CODE])  # what tables and exports say
    name = models.CharField(max_length=100)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["study", "code"]
        constraints = [
            models.UniqueConstraint(fields=["study", "code"], name="site_code_once_a_study")
        ]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="memberships"
    )
    role = models.CharField(max_length=20, choices=Role.choices)
    # Whose volunteers a site coordinator sees, or a local reader reads.
    site = models.ForeignKey(
        Site, null=True, blank=True, on_delete=models.RESTRICT, related_name="memberships"
    )
    # What stands for a reader in tables and exports: R1, R2, …
    reader_code = models.CharField(max_length=20, blank=True, validators=[CODE])
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["study", "user", "role"], name="one_role_once"),
            models.UniqueConstraint(
                fields=["study", "reader_code"],
                condition=~models.Q(reader_code=""),
                name="reader_code_once_a_study",
            ),
            models.CheckConstraint(
                condition=models.Q(role="reader")
                | models.Q(role="site_coordinator", site__isnull=False)
                | models.Q(role__in=["coordinator", "statistician"], site=None),
                name="site_where_the_role_has_one",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} as {self.role}"


class Arm(models.Model):
    class Kind(models.TextChoices):
        ACQUIRED = "acquired", "Acquired"
        DERIVED = "derived", "Derived"

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="arms")
    code = models.CharField(max_length=30, validators=[CODE])  # STD, DF, DLR_DF
    name = models.CharField(max_length=100)  # standard, double-fast, DLR-double-fast
    position = models.PositiveSmallIntegerField(default=0)
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.ACQUIRED)
    is_control = models.BooleanField(default=False)
    # The recipe of a derived arm: source arm, method ("ddlr"), model and strength, e.g.
    # {"method": "ddlr", "model": "ddlr", "strength": {"kind": "target_snr_gain", "value": 1.7}}.
    source = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="derived_arms"
    )
    recipe = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["study", "position", "id"]
        constraints = [
            models.UniqueConstraint(fields=["study", "code"], name="arm_code_once_a_study"),
            models.UniqueConstraint(
                fields=["study"], condition=models.Q(is_control=True), name="one_control_a_study"
            ),
            models.CheckConstraint(
                condition=models.Q(kind="acquired", source=None)
                | models.Q(kind="derived", source__isnull=False),
                name="derived_arm_has_source",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_derived(self) -> bool:
        return self.kind == self.Kind.DERIVED


class Criterion(models.Model):
    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="criteria")
    code = models.CharField(max_length=40, validators=[CODE])  # perceived_snr
    name = models.CharField(max_length=100)
    question = models.CharField(max_length=300, blank=True)
    anchors = models.JSONField(default=list)  # the wording of the points 1 … 5
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["study", "position", "id"]
        verbose_name_plural = "criteria"
        constraints = [
            models.UniqueConstraint(fields=["study", "code"], name="criterion_code_once_a_study")
        ]

    def __str__(self) -> str:
        return self.name


class Comparison(models.Model):
    """A pair of arms named before reading: the difference tested is second minus first."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="comparisons")
    first = models.ForeignKey(Arm, on_delete=models.PROTECT, related_name="+")
    second = models.ForeignKey(Arm, on_delete=models.PROTECT, related_name="+")
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["study", "position", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["study", "first", "second"], name="comparison_once_a_study"
            )
        ]

    def __str__(self) -> str:
        return f"{self.first.code} v {self.second.code}"


class Tissue(models.Model):
    """A line of the region template: what is measured, and how large the ellipse is."""

    class Purpose(models.TextChoices):
        TISSUE = "tissue", "Tissue"
        REFERENCE = "reference", "Reference tissue (CNR)"
        AIR = "air", "Background air (noise)"

    class SliceRule(models.TextChoices):
        CENTRAL = "central", "Central slice"
        PARAMEDIAN = "paramedian", "Paramedian slice"
        ANY = "any", "Any slice"

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="tissues")
    code = models.CharField(max_length=30, validators=[CODE])  # fat, csf, … air
    name = models.CharField(max_length=60)
    purpose = models.CharField(max_length=10, choices=Purpose.choices, default=Purpose.TISSUE)
    area_mm2 = models.FloatField(default=30.0, validators=[MinValueValidator(0.1)])
    colour = models.CharField(max_length=7, default="#ffb000")
    # On which slice it is measured; suggested to whoever places the region.
    slice_rule = models.CharField(
        max_length=10, choices=SliceRule.choices, default=SliceRule.CENTRAL
    )
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["study", "position", "id"]
        constraints = [
            models.UniqueConstraint(fields=["study", "code"], name="tissue_code_once_a_study")
        ]

    def __str__(self) -> str:
        return self.name


# Models of the plan, which Django looks for here.
from .plan_models import Plan, PlanVersion  # noqa: E402, F401
