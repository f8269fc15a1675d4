"""Images in an S3-type object store (S3_BUCKET). Imported only where that is configured.

Files are read and written by web and workers alone: no address of the store is ever handed out.
What the store answers badly comes as OSError, as from a disk: a full one as ENOSPC, a slow or
absent one as TimeoutError or ConnectionError, each in words for people and without its address.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from django.core.files.base import File
from storages.backends.s3 import S3Storage

Result = TypeVar("Result")
# What the usual stores call a full disk or a quota that is used up.
FULL = {
    "QuotaExceeded",
    "QuotaExceededException",
    "XMinioStorageFull",
    "XMinioAdminBucketQuotaExceeded",
    "InsufficientCapacity",
    "InsufficientStorage",
}


def client_config(connect_seconds: float, read_seconds: float) -> Config:
    """A store that hangs is given up after about three times `read_seconds`."""
    return Config(
        connect_timeout=connect_seconds,
        read_timeout=read_seconds,
        retries={"mode": "standard", "total_max_attempts": 3},
        s3={"addressing_style": "path"},
        signature_version="s3v4",
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


@contextmanager
def told() -> Iterator[None]:
    """Turn the client library's errors into the operating system's."""
    try:
        yield
    except ClientError as error:
        _raise(error)
    except (ConnectTimeoutError, ReadTimeoutError):
        raise TimeoutError("The object store did not answer in time.") from None
    except EndpointConnectionError:
        raise ConnectionError("The object store cannot be reached.") from None
    except BotoCoreError as error:
        raise OSError(f"The object store failed ({type(error).__name__}).") from None


def _raise(error: ClientError) -> NoReturn:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in FULL or status == 507:
        raise OSError(errno.ENOSPC, "The object store is full.") from None
    if status in {401, 403}:
        raise PermissionError("The object store refused: look at its key and policy.") from None
    raise OSError(f"The object store answered {status} {code}.") from None


class ObjectStorage(S3Storage):
    """The store as the platform uses it: exact names, folders, private, no address."""

    def get_default_settings(self) -> dict[str, Any]:
        return {
            **super().get_default_settings(),
            "file_overwrite": True,
            "default_acl": None,
            "querystring_auth": True,
            "max_memory_size": 8 * 1024**2,
        }

    def url(self, *_: Any, **__: Any) -> NoReturn:
        raise ValueError("Files are served by the platform alone; they have no address.")

    def exists(self, name: str) -> bool:
        """Also true of a folder: a name under which anything is stored."""
        with told():
            if super().exists(name):
                return True
            prefix = self._normalize_name(name.strip("/")) + "/"
            answer = self.connection.meta.client.list_objects_v2(
                Bucket=self.bucket_name, Prefix=prefix, MaxKeys=1
            )
            return bool(answer.get("KeyCount"))

    def _open(self, name: str, mode: str = "rb") -> File:
        return _told(lambda: _Whole(S3Storage._open(self, name, mode)))

    def _save(self, name: str, content: File) -> str:
        return str(_told(lambda: S3Storage._save(self, name, content)))

    def delete(self, name: str) -> None:
        _told(lambda: S3Storage.delete(self, name))

    def listdir(self, name: str) -> tuple[list[str], list[str]]:
        return _told(lambda: S3Storage.listdir(self, name))

    def size(self, name: str) -> int:
        return int(_told(lambda: S3Storage.size(self, name)))

    def get_modified_time(self, name: str) -> Any:
        return _told(lambda: S3Storage.get_modified_time(self, name))


def _told(act: Callable[[], Result]) -> Result:
    with told():
        return act()


class _Whole(File):
    """A stored file, fetched when it is opened: what fails, fails here and is told."""

    def __init__(self, stored: Any) -> None:
        super().__init__(stored.file, stored.name)
