"""Images in an S3-type object store (S3_BUCKET). Imported only where that is configured.

Files are read and written by web and workers alone: no address of the store is ever handed out.
What the store answers badly comes as OSError, as from a disk: a full one as ENOSPC, a slow or
absent one as TimeoutError or ConnectionError, each in words for people and without its address.

A worker waits with patience and tries three times. A request of a web process waits shortly, tries
once, and only a few do so at a time (`slow_store`): the browser asks again, and the thread is free.
The health check has a short time of its own and takes no place from images.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NoReturn

from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from django.core.files.base import File
from s3transfer.exceptions import RetriesExceededError
from storages.backends.s3 import S3Storage

from readerstudy.imaging.store_away import StoreAway, StoreGone, StoreTimeout

from .request_ids import in_request
from .slow_store import Places, asked_until

# What the usual stores call a full disk or a quota that is used up.
FULL = {
    "QuotaExceeded",
    "QuotaExceededException",
    "XMinioStorageFull",
    "XMinioAdminBucketQuotaExceeded",
    "InsufficientCapacity",
    "InsufficientStorage",
}


# Up to here a file comes about as quickly as a slice.
SMALL_BYTES = 4 * 1024**2
# What a page waits for is fetched once: its reader, or the viewer, asks again.
ONCE = TransferConfig(num_download_attempts=1)


def client_config(connect_seconds: float, read_seconds: float, attempts: int = 3) -> Config:
    """A store that hangs is given up after about `attempts` times `read_seconds`."""
    return Config(
        connect_timeout=connect_seconds,
        read_timeout=read_seconds,
        retries={"mode": "standard", "total_max_attempts": attempts},
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
        raise StoreTimeout("The object store did not answer in time.") from None
    except EndpointConnectionError:
        raise StoreGone("The object store cannot be reached.") from None
    except (BotoCoreError, Boto3Error, RetriesExceededError) as error:
        raise StoreAway(f"The object store failed ({type(error).__name__}).") from None


def _raise(error: ClientError) -> NoReturn:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in FULL or status == 507:
        raise OSError(errno.ENOSPC, "The object store is full.") from None
    if status == 404 and code != "NoSuchBucket":
        raise FileNotFoundError(f"The object store answered 404 {code}.") from None
    if status in {401, 403}:
        raise PermissionError("The object store refused: look at its key and policy.") from None
    kind = StoreAway if status >= 500 or status == 429 else OSError
    raise kind(f"The object store answered {status} {code}.") from None


class ObjectStorage(S3Storage):
    """The store as the platform uses it: exact names, folders, private, no address."""

    def get_default_settings(self) -> dict[str, Any]:
        return {
            **super().get_default_settings(),
            "file_overwrite": True,
            "default_acl": None,
            "querystring_auth": True,
            "max_memory_size": 8 * 1024**2,
            "web_client_config": client_config(1.0, 3.0, attempts=1),
            "check_client_config": client_config(0.5, 1.0, attempts=1),
            "at_once": 2,
        }

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.places = Places(self.at_once)

    @property
    def connection(self) -> Any:
        """One for each thread, as upstream, and others for a web request and the health check."""
        kind = "web" if in_request() else "patient"
        if asked_until() is not None:
            kind = "check"
        made = getattr(self._connections, kind, None)
        if made is None:
            configs = {
                "patient": self.client_config,
                "web": self.web_client_config,
                "check": self.check_client_config,
            }
            made = self._create_session().resource(
                "s3",
                region_name=self.region_name,
                use_ssl=self.use_ssl,
                endpoint_url=self.endpoint_url,
                config=configs[kind],
                verify=self.verify,
            )
            setattr(self._connections, kind, made)
        return made

    @property
    def bucket(self) -> Any:
        """Not kept: it would carry the first caller's patience to all others."""
        return self.connection.Bucket(self.bucket_name)

    @property
    def transfer_config(self) -> TransferConfig | None:
        return ONCE if in_request() else self._transfer_config

    @transfer_config.setter
    def transfer_config(self, configured: TransferConfig | None) -> None:
        self._transfer_config = configured

    @contextmanager
    def asked(self, *, is_large: bool = False) -> Iterator[None]:
        """Around whatever is asked of the store."""
        until = asked_until()
        if until is not None and (self.places.is_hung or time.monotonic() > until):
            raise StoreTimeout("The object store is slow.")
        is_bound = in_request() and until is None
        with self.places.one(is_large=is_large) if is_bound else nullcontext(), told():
            yield

    def url(self, *_: Any, **__: Any) -> NoReturn:
        raise ValueError("Files are served by the platform alone; they have no address.")

    def exists(self, name: str) -> bool:
        """Also true of a folder: a name under which anything is stored."""
        with self.asked():
            if super().exists(name):
                return True
            prefix = self._normalize_name(name.strip("/")) + "/"
            answer = self.connection.meta.client.list_objects_v2(
                Bucket=self.bucket_name, Prefix=prefix, MaxKeys=1
            )
            return bool(answer.get("KeyCount"))

    def _open(self, name: str, mode: str = "rb") -> File:
        with self.asked():
            stored = S3Storage._open(self, name, mode)  # asks whether it is there, and its length
            if stored.size <= SMALL_BYTES:
                return _Whole(stored)
        with self.asked(is_large=True):
            return _Whole(stored)

    def read_part(self, name: str, start: int, length: int, *, whole: int) -> bytes:
        """So many bytes of a stored file, from `start` on; OSError where it is not `whole` long.

        One request, whatever the file and whether it was asked for before.
        """
        with self.asked():
            answer = self.connection.meta.client.get_object(
                Bucket=self.bucket_name,
                Key=self._normalize_name(name),
                Range=f"bytes={start}-{start + length - 1}",
            )
            content = bytes(answer["Body"].read())
        of = str(answer.get("ContentRange", "")).rpartition("/")[2]
        if len(content) != length or of != str(whole):
            raise OSError(
                f"The object store gave {len(content)} bytes of {of or 'an unknown number'} "
                f"instead of {length} of {whole}."
            )
        return content

    def _save(self, name: str, content: File) -> str:
        with self.asked():
            return str(S3Storage._save(self, name, content))

    def delete(self, name: str) -> None:
        with self.asked():
            S3Storage.delete(self, name)

    def listdir(self, name: str) -> tuple[list[str], list[str]]:
        with self.asked():
            return S3Storage.listdir(self, name)

    def bytes_under(self, folder: str) -> int:
        """What lies under a folder, from its listing: a thousand files a request."""
        prefix = self._normalize_name(folder.strip("/")) + "/"
        total, more = 0, ""
        while True:
            with self.asked():
                answer = self.connection.meta.client.list_objects_v2(
                    Bucket=self.bucket_name,
                    Prefix=prefix,
                    **({"ContinuationToken": more} if more else {}),
                )
            total += sum(int(one["Size"]) for one in answer.get("Contents", []))
            if not answer.get("IsTruncated"):
                return total
            more = answer["NextContinuationToken"]

    def size(self, name: str) -> int:
        with self.asked():
            return int(S3Storage.size(self, name))

    def get_modified_time(self, name: str) -> Any:
        with self.asked():
            return S3Storage.get_modified_time(self, name)


class _Whole(File):
    """A stored file, fetched when it is opened: what fails, fails here and is told."""

    def __init__(self, stored: Any) -> None:
        super().__init__(stored.file, stored.name)
