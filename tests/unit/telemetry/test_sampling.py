"""Saying a thing once in a while."""

from receiver.telemetry.sampling import Sampler


class TestAdmit:
    def test_once_per_interval(self) -> None:
        """The first goes through, others of that interval do not, and the next tells how many those were."""
        now = 100.0
        sampler = Sampler(10.0, lambda: now)
        assert [sampler.admit("a") for _ in range(4)] == [0, None, None, None]
        now = 109.9
        assert sampler.admit("a") is None
        now = 110.0
        assert [sampler.admit("a") for _ in range(2)] == [4, None]
        now = 120.0
        assert sampler.admit("a") == 1

    def test_each_key_for_itself(self) -> None:
        """A frequent fact hides no rare one."""
        sampler = Sampler(10.0, lambda: 0.0)
        assert [sampler.admit(key) for key in ("a", "a", "b", "a", "b")] == [0, None, 0, None, None]

    def test_forgets_the_oldest(self) -> None:
        """Whoever chooses the keys fills no memory."""
        now = 0.0
        sampler = Sampler(10.0, lambda: now, most=2)
        assert [sampler.admit(key) for key in ("a", "b", "a")] == [0, 0, None]
        now = 10.0
        assert [sampler.admit(key) for key in ("a", "c", "a", "b")] == [1, 0, None, 0]
