"""What is put right before a head is parsed."""

import time

import pytest

from receiver.assets.head import final, mended


class TestMended:
    def test_lines(self, subtests: pytest.Subtests) -> None:
        """A folded header is one line with one blank; equal lengths are one; what is wrong stays so."""
        for head, expected in (
            (b"A: b\r\n\r\n", b"A: b\r\n\r\n"),
            (b"A: b\r\n\t c\r\n d\r\nE: f\r\n\r\n", b"A: b c d\r\nE: f\r\n\r\n"),
            (b"A: b\n c\n\n", b"A: b c\n\n"),
            (b"HTTP/1.1 200\r\n A: b\r\n\r\n", b"HTTP/1.1 200 A: b\r\n\r\n"),
            (b"A: b\nContent-Length: 5, 5\n\n", b"A: b\r\nContent-Length: 5\r\n\r\n"),
            (b"content-length:5\r\nA: b\r\nContent-Length: 5\r\n\r\n", b"A: b\r\nContent-Length: 5\r\n\r\n"),
            (b"Content-Length: 5,\r\n 5\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n"),
            (b"X-Content-Length: 5, 5\r\n\r\n", b"X-Content-Length: 5, 5\r\n\r\n"),
            (b"Content-Length: 5, 6\r\n\r\n", b"Content-Length: 5, 6\r\n\r\n"),
            (b"Content-Length: 5, 05\r\n\r\n", b"Content-Length: 5, 05\r\n\r\n"),
            (b"Content-Length: 5,\r\n\r\n", b"Content-Length: 5,\r\n\r\n"),
            (b"Content-Length: x, x\r\n\r\n", b"Content-Length: x, x\r\n\r\n"),
        ):
            with subtests.test(head=head):
                assert mended(head) == expected

    def test_takes_no_longer_than_it_has_to(self) -> None:
        """Blanks that nobody would write hold nothing up."""
        blanks = b"A:" + b" " * 50_000 + b"b\r\n"
        began = time.process_time()
        assert mended(blanks * 4 + b" c\r\n\r\n").endswith(b" b c\r\n\r\n")
        assert time.process_time() - began < 2


class TestFinal:
    def test_whole_heads(self, subtests: pytest.Subtests) -> None:
        """The last head comes with what follows it; those of 1xx before it are dropped."""
        for came, expected in (
            (b"HTTP/1.1 200 OK\r\n\r\nab", b"HTTP/1.1 200 OK\r\n\r\nab"),
            (b"HTTP/1.1 200 OK\n\nab", b"HTTP/1.1 200 OK\n\nab"),
            (b"HTTP/1.0 199\nA: b\n c\n\nHTTP/1.1 200 OK\n\nab", b"HTTP/1.1 200 OK\n\nab"),
            (b"HTTP/1.1 101 OK\r\n\r\nab", b"HTTP/1.1 101 OK\r\n\r\nab"),
            (b"HTTP/1.1 100 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r", b""),
        ):
            with subtests.test(came=came):
                assert final(bytearray(came), fresh_bytes=len(came)) == expected
                buffer = bytearray()
                for byte in came[: len(came) - len(b"ab")]:
                    assert not final(buffer, fresh_bytes=1)
                    buffer.append(byte)
                assert final(buffer + b"ab", fresh_bytes=3) == expected
