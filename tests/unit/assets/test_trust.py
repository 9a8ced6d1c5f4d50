"""A certificate authority of the operator's own, beside the system's."""

import ssl
from pathlib import Path

import pytest
import trustme

from receiver.assets.trust import bundle, trusting


@pytest.fixture
def ca_file(tmp_path: Path, authority: trustme.CA) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


class TestTrusting:
    def test_adds_to_the_systems(self, ca_file: str) -> None:
        """The operator's is one more, and names are checked as ever."""
        system, both = trusting(None), trusting(ca_file)
        assert both.cert_store_stats()["x509"] == system.cert_store_stats()["x509"] + 1
        assert both.check_hostname
        assert both.verify_mode == ssl.CERT_REQUIRED

    def test_all_but_the_name(self, ca_file: str) -> None:
        """Whose certificate it is may be left to the caller, and nothing else."""
        context = trusting(ca_file, check_name=False)
        assert (context.check_hostname, context.verify_mode) == (False, ssl.CERT_REQUIRED)

    @pytest.mark.parametrize(
        ("content", "words"), [(None, "cannot read"), ("", "no certificate"), ("x", "no certificate")]
    )
    def test_unusable(self, tmp_path: Path, content: str | None, words: str) -> None:
        """A file that is missing, empty or something else is named."""
        path = tmp_path / "ca.pem"
        if content is not None:
            path.write_text(content)
        with pytest.raises(ValueError, match=words) as refusal:
            trusting(str(path))
        assert str(path) in str(refusal.value)

    def test_folder(self, tmp_path: Path) -> None:
        """So is a folder."""
        with pytest.raises(ValueError, match="cannot read"):
            trusting(str(tmp_path))


class TestBundle:
    def test_holds_both(self, ca_file: str) -> None:
        """A context made from it trusts what either file does."""
        both = ssl.create_default_context(cafile=bundle(ca_file, ca_file))
        assert both.cert_store_stats()["x509"] == 1
        assert Path(bundle(ca_file, ca_file)).read_bytes().count(b"BEGIN CERTIFICATE") == 2
