"""Which rows a filter means."""

from receiver.store.filters import Filter, has_error, is_kind


class TestFilter:
    def test_goes_through_json(self) -> None:
        """An operation keeps its filter, and shows only what was given."""
        wanted = Filter(ids=("a", "b"), error="x", since_ms=0)
        assert wanted.to_json() == {"ids": ("a", "b"), "error": "x", "since_ms": 0}
        assert Filter.from_json({"ids": ["a", "b"], "error": "x", "since_ms": 0}) == wanted

    def test_a_state_alone_leaves_it_open(self) -> None:
        """Whoever means all dead letters must say so."""
        assert Filter(state="dead").is_open
        assert not Filter(state="dead", source="acme").is_open
        assert not Filter(since_ms=0).is_open


class TestIsKind:
    def test_is_what_this_release_reads(self) -> None:
        """A body that says nothing we know is unknown."""
        image, other = b'{"event":"a","data":{"id":"g","type":"image"}}', b'{"event":"a","data":{"id":"g"}}'
        assert is_kind("image", image, "photoverse")
        assert not is_kind("video", image, "photoverse")
        assert is_kind("unknown", other, "photoverse")
        assert is_kind("unknown", b"\xff", "photoverse")
        assert is_kind(None, None, "photoverse")


class TestHasError:
    def test_ignores_case_in_any_script(self) -> None:
        """And finds it in any of the errors."""
        assert has_error("STRASSE", None, "Straße gesperrt")
        assert has_error("É", "é")
        assert not has_error("x", None)
        assert has_error(None)
