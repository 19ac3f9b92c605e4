"""A second listener of the local Kafka with TLS and SASL: for tests and trials of the settings, not for production."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from streams.settings import MECHANISMS

LISTENER: Final = "SECURE"
_MODULES: Final = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSecurity:
    """What the secured listener asks of its clients.

    protocol: SSL, SASL_PLAINTEXT or SASL_SSL. port: of the listener, free on 127.0.0.1.
    users: name to password, of every SASL mechanism.
    keystore: PEM file with the broker's key (PKCS#8, not encrypted) and certificates.
    client_ca: PEM file; clients must show a certificate of it.
    advertised: host that clients are sent to.
    """

    protocol: str
    port: int
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    keystore: Path | None = None
    client_ca: Path | None = None
    advertised: str = "127.0.0.1"

    def properties(self, host: str, lines: Mapping[str, str]) -> dict[str, str]:
        """Lines of server.properties to add to or replace in `lines`; they hold passwords."""
        prefix = f"listener.name.{LISTENER.lower()}."
        lines = {
            "listeners": f"{lines['listeners']},{LISTENER}://{host}:{self.port}",
            "advertised.listeners": f"{lines['advertised.listeners']},{LISTENER}://{self.advertised}:{self.port}",
            "listener.security.protocol.map": f"{lines['listener.security.protocol.map']},{LISTENER}:{self.protocol}",
            "inter.broker.listener.name": "PLAINTEXT",
        }
        if self.keystore is not None:
            lines |= {f"{prefix}ssl.keystore.type": "PEM", f"{prefix}ssl.keystore.location": str(self.keystore)}
        if self.client_ca is not None:
            lines |= {
                f"{prefix}ssl.truststore.type": "PEM",
                f"{prefix}ssl.truststore.location": str(self.client_ca),
                f"{prefix}ssl.client.auth": "required",
            }
        if self.protocol.startswith("SASL"):
            lines[f"{prefix}sasl.enabled.mechanisms"] = ",".join(MECHANISMS)
            for mechanism in MECHANISMS:
                options = self._plain_users() if mechanism == "PLAIN" else ""
                key = f"{prefix}{mechanism.lower()}.sasl.jaas.config"
                lines[key] = f"{_MODULES[mechanism]} required{options};"
        return lines

    def _plain_users(self) -> str:
        return "".join(f' user_{name}="{password}"' for name, password in self.users.items())

    def format_options(self) -> list[str]:
        """For the formatting of new data: SCRAM users live in the cluster's own metadata.

        Their passwords stand on a command line for a second, so these are no passwords that matter elsewhere.
        """
        if not self.protocol.startswith("SASL"):
            return []
        return [
            option
            for name, password in self.users.items()
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
            for option in ("--add-scram", f"{mechanism}=[name={name},password={password}]")
        ]
