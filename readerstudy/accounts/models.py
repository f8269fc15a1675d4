"""People and how they get in.

A person is known by an e-mail address. Nobody signs up: an administrator or a coordinator invites,
the person follows the link, sets a password and (staff must, others may) a second factor. What a
person may do in a study is a membership, one floor up in `readerstudy.studies`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        if not email:
            raise ValueError("A user needs an e-mail address.")
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        """What `manage.py createsuperuser` calls. A service does it, with its event."""
        from .services import do_create_administrator

        return do_create_administrator(email, password, **fields)

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=(username or "").lower())


class User(AbstractBaseUser, PermissionsMixin):
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=150, blank=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(
        "administrator", default=False, help_text="May open the administration site."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["name"]
    objects: ClassVar[UserManager] = UserManager()

    def __str__(self) -> str:
        return self.name or self.email

    def get_full_name(self) -> str:
        return self.name

    def get_short_name(self) -> str:
        return self.name

    @property
    def is_administrator(self) -> bool:
        return self.is_active and self.is_superuser


class Invitation(models.Model):
    """A link that lets one invited (still inactive) user set a password, once, in time."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="invitations")
    token_sha256 = models.CharField(max_length=64, unique=True)  # the token itself is never stored
    invited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"invitation of {self.user.email}"


class SignIn(models.Model):
    """A person signed in, in one browser. The session itself is Django's: this says whose it is."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sign_ins")
    session_key = models.CharField(max_length=40, unique=True)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField(db_index=True)
    address = models.CharField(max_length=45, blank=True)
    browser = models.CharField(max_length=40, blank=True)
    # Looked up about once a minute, and anew when a factor is added.
    owes_second_factor = models.BooleanField(null=True, default=None)

    def __str__(self) -> str:
        return f"{self.user} in {self.browser}"


class Signature(models.Model):
    """A person's name under a record as it was then. Rows are only ever added."""

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="signatures")
    name = models.CharField(max_length=150)  # as it was printed then
    meaning = models.CharField(max_length=200)
    subject_type = models.CharField(max_length=100)
    subject_id = models.CharField(max_length=40)
    record_sha256 = models.CharField(max_length=64)
    signed_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["subject_type", "subject_id"])]

    def __str__(self) -> str:
        return f"{self.name}: {self.meaning}"
