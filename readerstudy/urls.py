"""Every address of the site, room by room."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("readerstudy.web.urls")),
    path("admin/", admin.site.urls),
    path("accounts/", include("readerstudy.accounts.urls")),
    path("", include("readerstudy.conduct.design_urls")),  # before the studies: holds studies/new/
    path("", include("readerstudy.studies.urls")),
    path("", include("readerstudy.imaging.urls")),
    path("", include("readerstudy.variants.urls")),
    path("", include("readerstudy.jobs.urls")),
    path("", include("readerstudy.conduct.urls")),
    path("reading/", include("readerstudy.reading.urls")),
    path("", include("readerstudy.measurements.urls")),
    path("", include("readerstudy.reports.urls")),
]
