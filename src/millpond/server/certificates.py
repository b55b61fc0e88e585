"""How long the server's TLS certificate is good for."""

from __future__ import annotations

from pathlib import Path

import structlog

_log = structlog.get_logger()


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
