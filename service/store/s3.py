"""Objects in S3, or in any server that speaks its language.

Credentials and region come from boto3's usual places (`AWS_*`, profiles, roles); the endpoint from
`AWS_ENDPOINT_URL_S3`. Exactly the actions of `infra/s3-policy.json` are used. Large objects go in
parts; every upload and download is checked by a CRC32 where the server knows it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ResponseStreamingError,
)
from botocore.exceptions import ConnectionError as ConnectionFailed
from pyarrow import fs

from service.store.objects import Entry

PART_BYTES = 16 * 2**20
"""Objects above this are sent in parts of this size."""
CONFIG: dict[str, Any] = {
    "connect_timeout": 5,
    "read_timeout": 30,
    # the store itself tries again for longer; this is for a connection that went stale
    "retries": {"mode": "standard", "total_max_attempts": 3},
    "max_pool_connections": 16,
}
READ_ATTEMPTS = 10
"""Of pyarrow, when it reads tables: some ten seconds in all."""
PASSING_CODES = {"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "Throttling"}
PASSING_TEXTS = re.compile(
    "NETWORK_CONNECTION|SERVICE_UNAVAILABLE|SLOW_DOWN|INTERNAL_FAILURE|REQUEST_TIMEOUT|curlCode"
    "|HTTP status (429|500|502|503|504)"
)
"""What pyarrow says instead of a code; of answers without a body it knows the status alone."""
FULL_CODES = {"InsufficientStorage", "QuotaExceeded", "XMinioStorageFull", "EntityTooLarge", "507"}
KEY_CODES = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}


class Bucket:
    """A prefix of a bucket."""

    def __init__(self, root: str, endpoint: str | None, region: str) -> None:
        self.root = root
        self.bucket, _, self.prefix = root.partition("/")
        self.endpoint, self.region = endpoint, region

    @cached_property
    def client(self) -> Any:
        # a server of one's own rarely has a name for every bucket
        style = {"addressing_style": "path"} if self.endpoint else {}
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.region,
            config=Config(s3=style, **CONFIG),
        )

    @cached_property
    def fs(self) -> fs.FileSystem:
        # pyarrow may overlook AWS_ENDPOINT_URL_S3 (apache/arrow#49643), so it is passed
        options: dict[str, Any] = {}
        if self.endpoint:
            parts = urlsplit(self.endpoint)
            options = {"endpoint_override": parts.netloc, "scheme": parts.scheme}
        return fs.S3FileSystem(
            region=self.region,
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=READ_ATTEMPTS),
            connect_timeout=CONFIG["connect_timeout"],
            request_timeout=CONFIG["read_timeout"],
            **options,
        )

    def put(self, key: str, data: bytes) -> None:
        place = {"Bucket": self.bucket, "Key": self._name(key)}
        if len(data) <= PART_BYTES:
            self.client.put_object(**place, Body=data, ChecksumAlgorithm="CRC32")
            return
        config = TransferConfig(multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES)
        extra = {"ChecksumAlgorithm": "CRC32"}
        self.client.upload_fileobj(io.BytesIO(data), **place, Config=config, ExtraArgs=extra)

    def get(self, key: str) -> bytes:
        name = self._name(key)
        try:
            answer = self.client.get_object(Bucket=self.bucket, Key=name, ChecksumMode="ENABLED")
        except ClientError as error:
            if _code(error) in ("NoSuchKey", "404"):
                raise FileNotFoundError(name) from error
            raise
        data: bytes = answer["Body"].read()
        return data

    def exists(self, key: str) -> bool:
        try:
            self.client.head_object(Bucket=self.bucket, Key=self._name(key))
        except ClientError as error:
            if _code(error) in ("NoSuchKey", "404"):
                return False
            raise
        return True

    def entries(self, prefix: str) -> Iterator[Entry]:
        pages = self.client.get_paginator("list_objects_v2")
        start = self._name(f"{prefix}/" if prefix else "")
        for page in pages.paginate(Bucket=self.bucket, Prefix=start):
            for item in page.get("Contents", []):
                key = item["Key"].removeprefix(f"{self.prefix}/") if self.prefix else item["Key"]
                if not key.endswith("/"):  # what some tools leave for a folder
                    yield Entry(key, item["Size"], item["LastModified"])

    def delete(self, key: str) -> None:
        try:
            self.client.delete_object(Bucket=self.bucket, Key=self._name(key))
        except ClientError as error:
            if _code(error) not in ("NoSuchKey", "404"):
                raise

    def delete_folder(self, prefix: str) -> None:
        for entry in list(self.entries(prefix)):
            self.delete(entry.key)
        self.delete_empty_folder(prefix)

    def delete_empty_folder(self, prefix: str) -> None:
        self.delete(f"{prefix}/")  # what pyarrow leaves for a folder; nothing depends on it

    def free_bytes(self) -> None:
        return None

    def is_passing(self, error: Exception) -> bool:
        if isinstance(error, ClientError):
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            return _code(error) in PASSING_CODES or (status >= 500 and status not in (501, 507))
        broken = (ConnectionFailed, HTTPClientError, IncompleteReadError, ResponseStreamingError)
        if isinstance(error, broken):
            return True
        return isinstance(error, OSError) and PASSING_TEXTS.search(str(error)) is not None

    def explain(self, error: Exception) -> str:
        where = self.endpoint or f"Amazon S3 in {self.region}"
        if isinstance(error, NoCredentialsError | PartialCredentialsError):
            return "no credentials. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        if isinstance(error, BotoCoreError):
            return f"{error}. Check AWS_ENDPOINT_URL_S3 (now {where}) and that its server runs"
        if not isinstance(error, ClientError):
            return f"{error}. Check AWS_* and AWS_ENDPOINT_URL_S3 (now {where})"
        code, said = _code(error), error.response.get("Error", {}).get("Message", "")
        if code == "NoSuchBucket":
            return f"{where} has no bucket {self.bucket!r}. Make it, or name one that is there"
        if code in KEY_CODES:
            return f"{where} refuses the key ({code}). Check AWS_ACCESS_KEY_ID and the secret to it"
        if code in FULL_CODES:
            return f"{where} is full ({code}: {said}). Make room there"
        if code in ("AccessDenied", "403"):
            return (
                f"{where} does not permit it ({code}: {said}). The key needs the rights of "
                f"infra/s3-policy.json on bucket {self.bucket!r}"
            )
        return f"{where} answers {code}: {said}"

    def _name(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
