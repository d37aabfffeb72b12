"""Signed bundles: what is accepted, what is refused, and that OpenSSL agrees."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from depthdial.deploy.manifest import read_manifest, write_manifest
from depthdial.deploy.signing import sign, verify
from depthdial.errors import ArtefactError
from tests.unit import test_manifest

bundle = test_manifest.bundle


def key_pair(folder: Path, kind: str = "ed25519") -> tuple[Path, Path]:
    """Private and public key as OpenSSL makes them."""
    private, public = folder / f"{kind}.pem", folder / f"{kind}.pub.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", kind, "-out", private], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    return private, public


@pytest.fixture
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    return key_pair(tmp_path_factory.mktemp("keys"))


def test_what_was_signed_is_verified_and_still_a_bundle(bundle: Path, keys: tuple[Path, Path]) -> None:
    sign(bundle, keys[0])
    verify(bundle, keys[1])
    read_manifest(bundle)
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", keys[1], "-rawin", "-in", bundle / "manifest.json"]
    subprocess.run([*command, "-sigfile", bundle / "manifest.json.sig"], check=True, capture_output=True)


def test_a_rewritten_manifest_is_refused(bundle: Path, keys: tuple[Path, Path]) -> None:
    sign(bundle, keys[0])
    manifest = read_manifest(bundle)
    write_manifest(bundle, manifest.model_copy(update={"seed": 1}))
    read_manifest(bundle)
    with pytest.raises(ArtefactError, match=r"the signature of its manifest\.json is not by the key"):
        verify(bundle, keys[1])


def test_another_key_is_refused(
    bundle: Path,
    keys: tuple[Path, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    sign(bundle, keys[0])
    other = tmp_path_factory.mktemp("other")
    with pytest.raises(ArtefactError, match="is not by the key"):
        verify(bundle, key_pair(other)[1])


def test_a_bundle_without_signature_is_refused(bundle: Path, keys: tuple[Path, Path]) -> None:
    with pytest.raises(ArtefactError, match=r"manifest\.json\.sig: no such file; sign the bundle"):
        verify(bundle, keys[1])


def test_what_is_no_key_is_refused(
    bundle: Path,
    keys: tuple[Path, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with pytest.raises(ArtefactError, match=r"cannot be read as a private Ed25519 key .* openssl genpkey"):
        sign(bundle, keys[1])
    other = tmp_path_factory.mktemp("other")
    private, public = key_pair(other, "x25519")
    with pytest.raises(ArtefactError, match="a key of another kind"):
        sign(bundle, private)
    sign(bundle, keys[0])
    with pytest.raises(ArtefactError, match="a key of another kind"):
        verify(bundle, public)


def test_a_damaged_bundle_is_not_signed(bundle: Path, keys: tuple[Path, Path]) -> None:
    (bundle / "weights.irpa").write_bytes(b"other")
    with pytest.raises(ArtefactError, match=r"weights\.irpa: sha256 is"):
        sign(bundle, keys[0])
