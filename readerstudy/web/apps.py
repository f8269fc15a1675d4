from __future__ import annotations

from django.contrib.admin.apps import AdminConfig
from django.core import checks


class AdministrationConfig(AdminConfig):
    default_site = "readerstudy.web.administration.AdministrationSite"

    def ready(self) -> None:
        from .checks import check_folders, check_keys, check_mail

        super().ready()
        checks.register(check_keys, checks.Tags.security, deploy=True)
        checks.register(check_folders, checks.Tags.security, deploy=True)
        checks.register(check_mail, checks.Tags.security, deploy=True)
