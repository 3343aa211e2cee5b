"""Stores: the places where committed checkpoints and governance logs are published and read.

`open_store` gives the one that a locator names; callers know the `Store` Protocol and nothing of what is
behind it. The kinds are imported when one is opened, so commands that open none stay quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.chain.commitment import Locator
from shared.checkpoints.stores.file import FileStore
from shared.checkpoints.stores.store import NotServed, NotServedCode, Store
from shared.errors import Rejection
from shared.settings import Settings

if TYPE_CHECKING:
    from shared.checkpoints.stores.s3.store import Writing

__all__ = ["FileStore", "NotServed", "NotServedCode", "Store", "open_store"]


def open_store(locator: Locator, settings: Settings) -> Store:
    """The store that `locator` names, with the keys that `settings` hold for writing to it.

    Raises Rejection `locator_invalid` for a `file:` locator where files are not shared, and for a host
    that nobody on the network could reach.
    """
    if locator.scheme == "file":
        if settings.file_root is None:
            message = f"file: locators are served on embedded and local networks only, not {locator}"
            raise Rejection("locator_invalid", message)
        return FileStore(settings.file_root, locator.name)
    from shared.checkpoints.stores.web import Web

    if locator.scheme == "hf":
        from shared.checkpoints.stores.hub.store import HfStore

        web = Web(private=settings.allows_file_locators, trusted=settings.hf_endpoint)
        token = settings.hf_token.get_secret_value() if settings.hf_token else None
        return HfStore(settings.hf_endpoint, locator.name, web=web, token=token)
    from shared.checkpoints.stores.s3.store import S3Store, url_of

    local = settings.allows_file_locators
    if url_of(locator.name).startswith("http:") and not local:
        raise Rejection("locator_invalid", f"{locator} names a host that is not on the public internet")
    return S3Store(locator.name, web=Web(private=local), writing=_writing(locator, settings))


def _writing(locator: Locator, settings: Settings) -> Writing | None:
    """How to write there; None without keys."""
    if settings.s3_key_id is None or settings.s3_secret is None:
        return None
    from shared.checkpoints.stores.s3.bucket import Keys
    from shared.checkpoints.stores.s3.store import Writing, url_of

    session = settings.s3_session
    keys = Keys(
        endpoint=(settings.s3_endpoint or url_of(locator.name.split("/", 1)[0])).rstrip("/"),
        key_id=settings.s3_key_id,
        secret=settings.s3_secret.get_secret_value(),
        session=session.get_secret_value() if session else None,
        region=settings.s3_region,
    )
    return Writing(keys, settings.s3_bucket, settings.s3_staging)
