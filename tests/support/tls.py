"""For the tests of TLS: an authority, certificates of it, and settings of a client that trusts it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from streams.local.broker import LocalBroker
from streams.settings import Secret, Settings

USER = "twin-user"
PASSWORD = "Zq7-unmistakable.Secret"  # noqa: S105  of a broker that lives as long as a test


class Authority:
    """A certificate authority with its files in a folder."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._authority = trustme.CA(organization_name=name)
        self.file = folder / f"{name}.pem"
        self._authority.cert_pem.write_to_path(str(self.file))

    def keystore(self, *names: str) -> Path:
        """One PEM file with a key (PKCS#8, the only form that Kafka reads) and a certificate for these names."""
        issued = self._authority.issue_cert(*names)
        key = load_pem_private_key(issued.private_key_pem.bytes(), None)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path = self._folder / f"{names[0]}.keystore.pem"
        path.write_bytes(pem + b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        path.chmod(0o600)
        return path


def secured(settings: Settings, broker: LocalBroker, authority: Authority, **changes: Any) -> Settings:
    """`settings` over the secured listener with SASL_SSL, as a user of the broker; `changes` win."""
    secure = {
        "bootstrap": broker.secure_bootstrap,
        "security_protocol": "SASL_SSL",
        "sasl_user": USER,
        "sasl_password": Secret(PASSWORD),
        "ssl_ca_file": str(authority.file),
    }
    return replace(settings, **(secure | changes))
