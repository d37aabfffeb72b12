"""Signatures of bundles: Ed25519 over the manifest, which holds the hashes of everything else (RFC 8032).

Keys and signatures are plain: PEM as OpenSSL writes it, and the 64 bytes of the signature beside the manifest. So a
device without Python can check a bundle with OpenSSL and sha256sum.
"""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from depthdial.artefacts import reading
from depthdial.deploy.manifest import NAME, SIGNATURE, read_manifest
from depthdial.errors import ArtefactError
from depthdial.files import atomic_path

StrPath = str | os.PathLike[str]
MAKE_KEYS = "openssl genpkey -algorithm ed25519 -out key.pem; openssl pkey -in key.pem -pubout -out key.pub.pem"


def sign(bundle: StrPath, key: StrPath) -> None:
    """Verify a bundle's files, then sign its manifest with the private key (PEM, without a password) in file ``key``.

    Raises ArtefactError if the bundle or the key is not what it should be.
    """
    read_manifest(bundle)
    with reading(key, "a private Ed25519 key in PEM without a password", f"make one: {MAKE_KEYS}"):
        private = load_pem_private_key(Path(key).read_bytes(), None)
        if not isinstance(private, Ed25519PrivateKey):
            raise ValueError("it is a key of another kind")
    with atomic_path(Path(bundle) / SIGNATURE) as temporary:
        temporary.write_bytes(private.sign((Path(bundle) / NAME).read_bytes()))


def verify(bundle: StrPath, key: StrPath) -> None:
    """Check the signature of a bundle's manifest by the public key (PEM) in file ``key``.

    The hashes of the files are checked by whoever opens the bundle. Raises ArtefactError that says what does not hold.
    """
    with reading(key, "a public Ed25519 key in PEM", f"make one: {MAKE_KEYS}"):
        public = load_pem_public_key(Path(key).read_bytes())
        if not isinstance(public, Ed25519PublicKey):
            raise ValueError("it is a key of another kind")
    place = Path(bundle) / SIGNATURE
    with reading(place, "a signature", "sign the bundle, or get it from whom you trust"):
        signature = place.read_bytes()
    try:
        public.verify(signature, (Path(bundle) / NAME).read_bytes())
    except InvalidSignature:
        raise ArtefactError(
            f"{bundle}: the signature of its {NAME} is not by the key in {key}, or the manifest was changed since; do "
            "not use the bundle"
        ) from None
