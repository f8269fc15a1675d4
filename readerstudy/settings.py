"""Settings, read from the environment; with none set, SQLite and local files are used.

Every variable is named and explained in docs/deployment.md.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from readerstudy.environment import LEVELS, Environment, read_file
from readerstudy.site_folder import made

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment()
read_file(BASE_DIR / ".env")

# Everything that a running site writes lives here: database, storage, uploads, the secret key.
# A folder left empty in a file of settings is the default: an empty path would be this one.
_var = BASE_DIR / "var"
VAR_DIR = made("READERSTUDY_VAR", Path(env.str("READERSTUDY_VAR", default="") or _var), _var)


def _secret_key() -> str:
    """The configured key, or one made on the first start and kept readable by the owner alone."""
    configured = env.str("SECRET_KEY", default="")
    if configured:
        return configured
    path = VAR_DIR / "secret_key"
    try:
        with suppress(FileExistsError), path.open("x", encoding="ascii") as handle:
            path.chmod(0o600)
            handle.write(secrets.token_urlsafe(48))
        return path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise ImproperlyConfigured(
            f"{path}, the key that this site made for itself, cannot be made or read by this user "
            f"({error.strerror}). Type commands as the user of the services, to whom "
            "READERSTUDY_VAR has to belong, or set SECRET_KEY."
        ) from None


SECRET_KEY = _secret_key()
IS_SECRET_KEY_CONFIGURED = bool(env.str("SECRET_KEY", default=""))
DEBUG = env.yes_or_no("DEBUG", False)
ALLOWED_HOSTS = env.listed("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.listed("CSRF_TRUSTED_ORIGINS", [])
SITE_URL = env.web_address("SITE_URL", "http://localhost:8000")

INSTALLED_APPS = [
    "readerstudy.web.apps.AdministrationConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "axes",
    "readerstudy.audit",
    "readerstudy.accounts",
    "readerstudy.jobs",
    "readerstudy.studies",
    "readerstudy.imaging",
    "readerstudy.variants",
    "readerstudy.reading",
    "readerstudy.measurements",
    "readerstudy.conduct",
    "readerstudy.reports",
    "readerstudy.demo",
]

MIDDLEWARE = [
    "readerstudy.web.request_ids.RequestIdMiddleware",
    "readerstudy.web.body_limit.BodyLimitMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "readerstudy.web.middleware.SecurityHeadersMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "readerstudy.web.session_limits.SessionLimitsMiddleware",
    "readerstudy.web.middleware.SignedInMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "axes.middleware.AxesMiddleware",
    "readerstudy.web.slow_store.SlowStoreMiddleware",
]

ROOT_URLCONF = "readerstudy.urls"
WSGI_APPLICATION = "readerstudy.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "readerstudy.accounts.single_sign_on_views.doors",
            ],
        },
    },
]
FORM_RENDERER = "readerstudy.web.form_rendering.Renderer"

DATABASES = {
    "default": env.database("DATABASE_URL", f"sqlite:///{VAR_DIR / 'readerstudy.sqlite3'}")
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # IMMEDIATE: a writer waits at BEGIN instead of failing at its first write.
    DATABASES["default"].setdefault("OPTIONS", {}).update(
        transaction_mode="IMMEDIATE",
        timeout=20,
        init_command="PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
    )
if DATABASES["default"]["ENGINE"].endswith("postgresql"):
    # READ COMMITTED, whatever the server's own default is: whoever waited for a row, a study or the
    # end of the audit trail goes on with what is there then (`readerstudy.audit.isolation`).
    DATABASES["default"].setdefault("OPTIONS", {}).setdefault("isolation_level", 2)
    # A database that is away is told so soon, not after the minutes of the operating system.
    DATABASES["default"]["OPTIONS"].setdefault("connect_timeout", 10)
    DATABASES["default"]["OPTIONS"].setdefault("tcp_user_timeout", 30_000)  # ms
    # A process that is frozen, or whose host is gone, in the middle of a transaction holds what it
    # locked there, at worst the end of the audit trail, for which every save waits: the database
    # ends such a transaction, and whoever thaws finds it gone.
    DATABASE_IDLE_SECONDS = env.whole("DATABASE_IDLE_SECONDS", 30, least=0)
    if DATABASE_IDLE_SECONDS > 0:
        _options = DATABASES["default"]["OPTIONS"].get("options", "")
        DATABASES["default"]["OPTIONS"]["options"] = (
            f"{_options} -c idle_in_transaction_session_timeout={DATABASE_IDLE_SECONDS}s"
            " -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
        ).strip()
# On SQLite too: opening the file and reading its schema costs more than most requests ask of it.
DATABASES["default"]["CONN_MAX_AGE"] = env.whole("CONN_MAX_AGE", 60, least=0)
# One that is kept is looked at before a request uses it: after a restart of the database, each
# thread of the web would else answer once with a fault.
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# In the database: limits on attempts hold for all web processes and hosts together.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "web_cache",
        "OPTIONS": {"MAX_ENTRIES": 20000},
    }
}

# --- Storage: de-identified images, uploads in progress -----------------------------------------
# Web and worker hosts share these two folders and the database, and nothing else.
MEDIA_ROOT = Path(env.str("STORAGE_DIR", default="") or VAR_DIR / "storage")
UPLOAD_ROOT = Path(env.str("UPLOAD_DIR", default="") or VAR_DIR / "uploads")
IS_UPLOAD_DIR_CONFIGURED = bool(env.str("UPLOAD_DIR", default=""))
STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": MEDIA_ROOT, "base_url": None},
    },
    "uploads": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": UPLOAD_ROOT, "base_url": None},
    },
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
# Images in an object store instead. UPLOAD_DIR stays a folder: pieces are appended to a file.
S3_BUCKET = env.str("S3_BUCKET", default="")
S3_AT_ONCE = env.whole("S3_AT_ONCE", 2)  # less than the threads of a web process
_endpoint = env.web_address("S3_ENDPOINT", "")
_seconds, _web_seconds = env.number("S3_SECONDS", 20.0), env.number("S3_WEB_SECONDS", 3.0)
if S3_BUCKET:
    from readerstudy.web.object_storage import client_config

    STORAGES["default"] = {
        "BACKEND": "readerstudy.web.object_storage.ObjectStorage",
        "OPTIONS": {
            "bucket_name": S3_BUCKET,
            "location": env.str("S3_PREFIX", default=""),
            "endpoint_url": _endpoint or None,
            "region_name": env.text("S3_REGION", "us-east-1"),
            "access_key": env.str("S3_ACCESS_KEY", default="") or None,
            "secret_key": env.str("S3_SECRET_KEY", default="") or None,
            "client_config": client_config(3.0, _seconds),
            # What a page or the viewer waits for: shortly, once, and by a few at a time.
            "web_client_config": client_config(1.0, _web_seconds, attempts=1),
            "at_once": S3_AT_ONCE,
        },
    }
STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static_build"]
WHITENOISE_KEEP_ONLY_HASHED_FILES = False
# What browsers ask for by themselves, at the top of the site: favicon.ico.
WHITENOISE_ROOT = BASE_DIR / "frontend" / "root"

# --- Who may sign in ----------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
    "django.contrib.auth.backends.ModelBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2SHA1PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("email", "name")},
    },
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_SESSION_REMEMBER = False  # hospital workstations are shared: closing the browser ends it
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"  # an account exists only by invitation to that address
ACCOUNT_ADAPTER = "readerstudy.accounts.adapter.InvitationOnlyAdapter"
ACCOUNT_FORMS = {
    "login": "readerstudy.accounts.door_forms.SignInForm",
    "reauthenticate": "readerstudy.accounts.door_forms.PasswordAgainForm",
}
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # a typed address that has no account gets no mail
# Wrong passwords are django-axes' matter (below); wrong codes of a second factor are counted here.
SIGN_INS_A_MINUTE = env.whole("SIGN_INS_A_MINUTE", 30)
ACCOUNT_RATE_LIMITS = {
    "login": f"{SIGN_INS_A_MINUTE}/m/ip",
    "login_failed": "60/m/ip,10/300s/key",
}
PASSWORD_RESET_TIMEOUT = 24 * 3600
INVITATION_DAYS = env.whole("INVITATION_DAYS", 7)
ADMIN_SECOND_FACTOR = env.yes_or_no("ADMIN_SECOND_FACTOR", True)
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_FORMS = {
    "authenticate": "readerstudy.accounts.door_forms.CodeForm",
    "reauthenticate": "readerstudy.accounts.door_forms.CodeAgainForm",
    "add_webauthn": "readerstudy.accounts.passkey_forms.AddForm",
    "authenticate_webauthn": "readerstudy.accounts.passkey_forms.AuthenticateForm",
    "login_webauthn": "readerstudy.accounts.passkey_forms.LoginForm",
    "reauthenticate_webauthn": "readerstudy.accounts.passkey_forms.ReauthenticateForm",
}
MFA_TOTP_ISSUER = "ReaderStudy"
MFA_ADAPTER = "readerstudy.accounts.adapter.SecondFactorAdapter"
MFA_ALLOW_UNVERIFIED_EMAIL = True  # an invitation went to the address: that verified it
# Single sign-on: the hospital's own OpenID Connect provider, beside the password.
OIDC_SERVER = env.str("OIDC_SERVER", default="")
OIDC_NAME = env.text("OIDC_NAME", "your hospital's account")
OIDC_SECOND_FACTOR = env.yes_or_no("OIDC_SECOND_FACTOR", False)
if OIDC_SERVER and not OIDC_SERVER.startswith(
    ("https://", "http://127.0.0.1:", "http://localhost:")
):
    # What it says of a person is believed because TLS says who says it.
    raise ImproperlyConfigured(f"OIDC_SERVER is {OIDC_SERVER!r}; it has to begin with https://.")
SOCIALACCOUNT_ADAPTER = "readerstudy.accounts.single_sign_on.InvitedOnlyAdapter"
SOCIALACCOUNT_PROVIDERS: dict[str, dict[str, object]] = {"openid_connect": {"APPS": []}}
if OIDC_SERVER:
    SOCIALACCOUNT_PROVIDERS["openid_connect"] = {
        "OAUTH_PKCE_ENABLED": True,
        "APPS": [
            {
                "provider_id": "hospital",
                "name": OIDC_NAME,
                "client_id": env.str("OIDC_CLIENT_ID", default=""),
                "secret": env.str("OIDC_CLIENT_SECRET", default=""),
                "settings": {"server_url": OIDC_SERVER},
            }
        ],
    }
SOCIALACCOUNT_EMAIL_AUTHENTICATION = True  # of an address that the provider has verified
SOCIALACCOUNT_EMAIL_AUTHENTICATION_AUTO_CONNECT = True
SOCIALACCOUNT_LOGIN_ON_GET = True  # a form that leads elsewhere would need a laxer policy
SOCIALACCOUNT_STORE_TOKENS = False
AXES_FAILURE_LIMIT = env.whole("LOCKOUT_AFTER", 6)
AXES_COOLOFF_TIME = env.number("LOCKOUT_HOURS", 0.25)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
# Wrong passwords within an hour for one account, from all network addresses together.
LOCKOUT_ACCOUNT_AFTER = env.whole("LOCKOUT_ACCOUNT_AFTER", 50)
AXES_HANDLER = "readerstudy.accounts.lockout_handler.AccountWideHandler"
AXES_ENABLE_ACCESS_FAILURE_LOG = True  # what the wider limit counts; kept for an hour
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_TEMPLATE = "accounts/locked_out.html"
AXES_USERNAME_FORM_FIELD = "login"
AXES_USERNAME_CALLABLE = "readerstudy.accounts.lockout.attempted_by"
AXES_CLIENT_IP_CALLABLE = "readerstudy.accounts.lockout.client_address"
AXES_SENSITIVE_PARAMETERS = ["login", "email", "username", "csrfmiddlewaretoken"]
AXES_ENABLE_ADMIN = False
AXES_DISABLE_ACCESS_LOG = True  # the audit trail says who signed in
AXES_VERBOSE = False

EMAIL_CONFIG = env.mail("EMAIL_URL", "consolemail://")
vars().update(EMAIL_CONFIG)
EMAIL_TIMEOUT = 5  # seconds: notices are sent in the request, whose thread a save may want
EMAIL_FILE_PATH = str(VAR_DIR / "mail")
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", "readerstudy@localhost")

# --- Sessions, cookies, headers -----------------------------------------------------------------
HTTPS = env.yes_or_no("HTTPS", False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31536000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
# A hospital's own host has no business on the browsers' public list of preloaded names.
SILENCED_SYSTEM_CHECKS = ["security.W021"]
BEHIND_PROXY = env.yes_or_no("BEHIND_PROXY", False)
if BEHIND_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
# A load balancer on the inside asks without TLS.
SECURE_REDIRECT_EXEMPT = [r"^health$", r"^ready$", r"^metrics$"]
SESSION_ENGINE = "readerstudy.accounts.session_store"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
# A browser takes cookies of these names over TLS alone, from this host and no other.
SESSION_COOKIE_NAME = "__Host-sessionid" if HTTPS else "sessionid"
CSRF_COOKIE_NAME = "__Host-csrftoken" if HTTPS else "csrftoken"
SESSION_COOKIE_AGE = env.whole("SESSION_HOURS", 12) * 3600
SESSION_IDLE_SECONDS = env.whole("SESSION_IDLE_MINUTES", 60) * 60
SECOND_FACTOR_FOR = env.some_of(
    "SECOND_FACTOR_FOR",
    ("administrators", "coordinators", "statisticians", "readers"),
    ["administrators", "coordinators", "statisticians"] if HTTPS else [],
)
CSRF_COOKIE_SAMESITE = "Lax"
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# --- Jobs ---------------------------------------------------------------------------------------
# A job is a row of the database. polling: workers look for rows; celery: a broker wakes them too.
TASKS = env.one_of("TASKS", ("polling", "celery"), "polling")
BROKER_URL = env.broker("BROKER_URL", "amqp://guest:guest@127.0.0.1:5672//")
BROKER_CA_FILE = env.readable_file("BROKER_CA_FILE")
if TASKS == "celery" and BROKER_CA_FILE and not BROKER_URL.startswith(("amqps://", "rediss://")):
    raise ImproperlyConfigured(
        "BROKER_CA_FILE is set, and BROKER_URL is an address without TLS: it begins with amqps:// "
        "or rediss://."
    )
JOB_SWEEP_SECONDS = env.number("JOB_SWEEP_SECONDS", 5.0)
JOB_LEASE_SECONDS = env.number("JOB_LEASE_SECONDS", 15.0)
JOB_POLL_SECONDS = env.number("JOB_POLL_SECONDS", 1.0)
JOB_MAX_ATTEMPTS = env.whole("JOB_MAX_ATTEMPTS", 3)
# After an unexpected error a job waits this long, times its attempts so far.
JOB_RETRY_SECONDS = env.number("JOB_RETRY_SECONDS", 5.0, may_be_none=True)

# --- Limits on uploads: each was measured against hostile input -----------------------------------
UPLOAD_MAX_FILES = env.whole("UPLOAD_MAX_FILES", 5000)
UPLOAD_MAX_FILE_BYTES = env.whole("UPLOAD_MAX_FILE_BYTES", 64 * 1024**2)
UPLOAD_MAX_TOTAL_BYTES = env.whole("UPLOAD_MAX_TOTAL_BYTES", 4 * 1024**3)
UPLOAD_MAX_RATIO = env.whole("UPLOAD_MAX_RATIO", 200)
PARSE_MEMORY_BYTES = env.whole("PARSE_MEMORY_BYTES", 1536 * 1024**2)
PARSE_SECONDS = env.whole("PARSE_SECONDS", 30)
# Raw data (k-space) are read by a process of their own, with these limits.
RAW_MEMORY_BYTES = env.whole("RAW_MEMORY_BYTES", 4 * 1024**3)
RAW_SECONDS = env.whole("RAW_SECONDS", 600)
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024**2
# Of any request, files of a form included: the largest form takes a file of 10 MiB, and uploads
# come in pieces of 8 MiB.
REQUEST_MAX_BYTES = 11 * 1024**2
# Keyed hash of UIDs; a key of its own where several sites share images.
# An empty line in the environment's file is no key: UIDs hashed with it could be recomputed.
DEIDENTIFICATION_KEY = env.str("DEIDENTIFICATION_KEY", default="") or SECRET_KEY

LANGUAGE_CODE = "en-gb"
TIME_ZONE = env.time_zone("TIME_ZONE", "UTC")
USE_TZ = True

# --- What operators see ---------------------------------------------------------------------------
LOG_FORMAT = env.one_of("LOG_FORMAT", ("plain", "json"), "plain")
# Read by the client library itself, which takes an empty name for the folder it was started in.
if not env.str("PROMETHEUS_MULTIPROC_DIR", default=""):
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
if METRICS_TOKEN:
    INSTALLED_APPS.append("django_prometheus")
    MIDDLEWARE.insert(1, "django_prometheus.middleware.PrometheusBeforeMiddleware")
    MIDDLEWARE.append("django_prometheus.middleware.PrometheusAfterMiddleware")
    PROMETHEUS_EXPORT_MIGRATIONS = False

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {
            "()": "readerstudy.web.logs.PlainFormatter",
            "fmt": "%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s",
        },
        "json": {"()": "readerstudy.web.logs.JsonFormatter"},
    },
    "filters": {"request_id": {"()": "readerstudy.web.logs.RequestIdFilter"}},
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": LOG_FORMAT,
            "filters": ["request_id"],
        }
    },
    "root": {"handlers": ["console"], "level": env.one_of("LOG_LEVEL", LEVELS, "INFO")},
    "loggers": {
        # Django's own handlers would write a second line, by a format that masks nothing.
        "django": {"handlers": []},
        # pydicom quotes header values in its warnings: none of that may reach a log.
        "pydicom": {"handlers": [], "level": "CRITICAL", "propagate": False},
        "pynetdicom": {"handlers": [], "level": "CRITICAL", "propagate": False},
        # fido2 names each passkey by its identifier; the audit trail says whose was added.
        "fido2": {"handlers": ["console"], "level": "WARNING", "propagate": False},
        # Each PDF of a figure would say some hundred lines on the glyphs of its fonts.
        "fontTools": {"handlers": ["console"], "level": "WARNING", "propagate": False},
        # axes' warnings name who tries to sign in: the audit trail says it without typed text.
        "axes": {"handlers": [], "level": "CRITICAL", "propagate": False},
        "django.server": {"handlers": ["console"], "level": "WARNING", "propagate": False},
    },
}
