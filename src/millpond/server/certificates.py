"""How long the server's TLS certificate is good for."""

from __future__ import annotations

import ssl
from pathlib import Path

import structlog
from prometheus_client import Gauge

from millpond.server.service_manager import MANAGER
from millpond.settings import Settings

_log = structlog.get_logger()


def watch(settings: Settings, end: Gauge) -> None:
    """Tell when the certificate ends that is served, now and after each reload."""
    chain, key = settings.tls_certificate, settings.tls_key

    def look_again() -> None:
        # What does not belong together is not served: the one before it still is.
        # With a password, or OpenSSL would ask for one on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(chain, key, password="")
        end.set(find_end(chain))

    end.set(find_end(chain))
    if chain:
        MANAGER.add(look_again)


def find_end(chain: str) -> float:
    """
    Say when the first certificate of a chain ends that ends.

    Args:
        chain: the PEM file of the certificates; empty: there is no TLS.

    Returns:
        Epoch seconds; 0 where nothing ends, or nothing can be read: a chain that
        serves may still have what this reader of certificates is too strict for.
    """
    if not chain:
        return 0
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificates(Path(chain).read_bytes())
        return min(each.not_valid_after_utc.timestamp() for each in found)
    except (OSError, ValueError) as error:
        _log.warning("tls.certificate_end_unknown", file=chain, error=str(error))
        return 0
