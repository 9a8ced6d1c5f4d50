"""An answer while it arrives, in one piece and byte by byte."""

import time
from collections.abc import Iterable

import pytest

from receiver.assets.answer import Answer, HungUp, Malformed, final, mended

OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: 2\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
BODY = b"2\r\nab\r\n0\r\n\r\n"
PLAIN = OK + LENGTH + b"\r\nab"


def read(pieces: Iterable[bytes]) -> tuple[Answer, bytes]:
    """Read an answer until its end, or that of *pieces*, where the host hangs up."""
    answer, body, left = Answer(), b"", iter(pieces)
    while not answer.is_whole:
        if data := next(left, None):
            answer.feed(data)
        else:
            answer.end()
        body += answer.take() if answer.status else b""
    return answer, body


def each_way(data: bytes) -> Iterable[Iterable[bytes]]:
    yield [data]
    yield [data[at : at + 1] for at in range(len(data))]


class TestAnswer:
    def test_bodies(self, subtests: pytest.Subtests) -> None:
        """These are read alike in whatever pieces they come; some may be followed by another answer."""
        for data, status, followed in (
            (PLAIN, 200, True),
            (OK + CHUNKED + b"\r\n" + BODY, 200, True),
            (OK + CHUNKED + b"\r\n2;name=value\r\nab\r\n0\r\nTrailer: x\r\n\r\n", 200, True),
            (OK + b"transfer-encoding:  Chunked \r\n\r\n" + BODY, 200, True),
            (PLAIN.replace(b"\r\n", b"\n"), 200, True),
            (OK + CHUNKED + b"\r\n2 \r\nab\r\n0\r\n\r\n", 200, True),
            (b"HTTP/1.1 404\r\n" + LENGTH + b"\r\nab", 404, True),
            (b"HTTP/1.1 999 Odd\r\n" + LENGTH + b"\r\nab", 999, True),
            (
                b"HTTP/1.1 100 Continue\r\n\r\n" * 9 + b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" + PLAIN,
                200,
                True,
            ),
            (
                b"HTTP/1.0 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nConnection: close\r\n\r\n" + PLAIN,
                200,
                True,
            ),
            (b"HTTP/1.1 100 Continue\r\nA: b\r\n c\r\n\r\n" + PLAIN, 200, True),
            (OK + LENGTH + b"A: b\r\n" + LENGTH.lower() + b"\r\nab", 200, True),
            (OK + b"Content-Length: 2,\t2 , 2\r\n\r\nab", 200, True),
            (OK + b"Content-Length: 2\r\n \r\n\r\nab", 200, True),
            (OK + b"A: b\r\n c\r\n" + LENGTH + b"\r\nab", 200, True),
            (OK + LENGTH + b"A:\n\tb\n \n\nab", 200, True),
            (OK + b" A: b\r\n" + LENGTH + b"\r\nab", 200, True),
            (OK + b"A: \x1b\x7f\xff\r\n" + LENGTH + b"\r\nab", 200, True),
            (OK + b"Transfer-Encoding:\r\n chunked\r\n\r\n" + BODY, 200, True),
            (OK + CHUNKED + b"\r\n2\r\nab\r\n0\r\nA: b\r\n c\r\n\r\n", 200, True),
            (b"HTTP/1.9 200 OK\r\n" + LENGTH + b"\r\nab", 200, False),
            (OK + LENGTH + LENGTH + CHUNKED + b"\r\n" + BODY, 200, False),
            (OK + b"Upgrade: h2c\r\nConnection: Upgrade\r\n" + LENGTH + b"\r\nab", 200, True),
            (OK + b"Connection: close\r\n" + LENGTH + b"\r\nab", 200, False),
            (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + LENGTH + b"\r\nab", 200, False),
            (b"HTTP/2.0 200 OK\r\n" + LENGTH + b"\r\nab", 200, False),
            (OK + b"\r\nab", 200, False),
            (OK + LENGTH + CHUNKED + b"\r\n" + BODY, 200, False),
            (OK + CHUNKED + LENGTH + b"\r\n" + BODY, 200, False),
            (OK + CHUNKED + CHUNKED + b"\r\n" + BODY, 200, False),
            (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + BODY, 200, False),
            (OK + b"Transfer-Encoding:\r\n" + LENGTH + b"\r\nab", 200, False),
        ):
            for way in each_way(data):
                with subtests.test(data=data):
                    answer, body = read(way)
                    assert (answer.status, body) == (status, b"ab")
                    assert answer.may_be_followed is followed

    def test_without_body(self, subtests: pytest.Subtests) -> None:
        """Some have none, whatever their headers say."""
        for head, followed in (
            (b"204 No Content\r\n", True),
            (b"304 Not Modified\r\n", True),
            (b"304 Not Modified\r\n" + LENGTH, False),
        ):
            for way in each_way(b"HTTP/1.1 " + head + b"\r\n"):
                with subtests.test(head=head):
                    answer, body = read(way)
                    assert (answer.status, body) == (int(head[:3]), b"")
                    assert answer.may_be_followed is followed

    def test_malformed(self, subtests: pytest.Subtests) -> None:
        """What two readers could read differently, or none, is no answer."""
        for data in (
            b"\r\n" + PLAIN,
            b"RTSP/1.0 200 OK\r\n" + LENGTH + b"\r\nab",
            b"ICE/1.0 200 OK\r\n" + LENGTH + b"\r\nab",
            b"http/1.1 200 OK\r\n" + LENGTH + b"\r\nab",
            b"HTTP/1.1  200 OK\r\n" + LENGTH + b"\r\nab",
            b"HTTP/1.1 000 No\r\n" + LENGTH + b"\r\nab",
            b"HTTP/1.1 101 Switching\r\n\r\n",
            b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n" + PLAIN,
            b"HTTP/1.1 1000 No\r\n" + LENGTH + b"\r\nab",
            b"HTTP/1.1 100\tNo\r\n\r\n" + PLAIN,
            b"HTTP/1.1 099 No\r\n" + LENGTH + b"\r\nab",
            b"HTTP/1.1 20 OK\r\n" + LENGTH + b"\r\nab",
            b"HTTP/1.1 2000 OK\r\n" + LENGTH + b"\r\nab",
            OK + LENGTH + b"Content-Length: 3\r\n\r\nab",
            OK + LENGTH + LENGTH + b"Content-Length: 02\r\n\r\nab",
            OK + b"Content-Length: 2, 3\r\n\r\nab",
            OK + b"Content-Length: 2,\r\n\r\nab",
            OK + b"Content-Length: 2\r\n 2\r\n\r\nab",
            OK + b"Content-Length: +2, +2\r\n\r\nab",
            OK + b"Content-Length: +2\r\n\r\nab",
            OK + b"Content-Length: \r\n\r\nab",
            OK + b"Content-Length: 99999999999999999999\r\n\r\nab",
            OK + b"Content-Length : 2\r\n\r\nab",
            OK + b"Transfer-Encoding : chunked\r\n\r\n" + BODY,
            OK + b": b\r\n" + LENGTH + b"\r\nab",
            OK + b"A b: c\r\n" + LENGTH + b"\r\nab",
            OK + b"A: b\rc\r\n" + LENGTH + b"\r\nab",
            OK + b"A: b\0\r\n" + LENGTH + b"\r\nab",
            OK + CHUNKED + b"\r\n0x2\r\nab\r\n0\r\n\r\n",
            OK + CHUNKED + b"\r\n-2\r\nab\r\n0\r\n\r\n",
            OK + CHUNKED + b"\r\nfffffffffffffffff\r\nab\r\n0\r\n\r\n",
            OK + CHUNKED + b"\r\n2\r\nabX0\r\n\r\n",
            OK + CHUNKED + b"\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        ):
            for way in each_way(data):
                with subtests.test(data=data), pytest.raises(Malformed):
                    read(way)

    def test_hung_up(self, subtests: pytest.Subtests) -> None:
        """An answer of known framing is not whole before its last byte."""
        for data in (PLAIN, OK + CHUNKED + b"\r\n" + BODY, OK + LENGTH + CHUNKED + b"\r\n" + BODY):
            for cut in range(len(data)):
                with subtests.test(data=data[:cut]), pytest.raises(HungUp):
                    read([data[:cut]] if cut else [])

    def test_answer_behind_the_end(self, subtests: pytest.Subtests) -> None:
        """Nobody asked for what stands there: it belongs to no answer, and ends the connection's use."""
        for first in (
            PLAIN,
            OK + CHUNKED + b"\r\n" + BODY,
            OK + b"Connection: close\r\n" + LENGTH + b"\r\nab",
        ):
            for behind in (
                PLAIN,
                b"HTTP/1.1 200",
                b"H",
                b"x",
                b"\r\n" + PLAIN,
                b"HTTP/1.1 100 Go on\r\n\r\n",
            ):
                with subtests.test(first=first, behind=behind):
                    answer, body = read([first + behind])
                    assert (answer.status, body, answer.may_be_followed) == (200, b"ab", False)
                    assert len(answer.headers) <= 2

    def test_overhead(self, subtests: pytest.Subtests) -> None:
        """A head, a trailer or an extension without end is not kept; one of 64 KiB is."""
        much = b"x" * 1024
        for before, after in (
            (OK + b"A: ", b"\r\n" + LENGTH + b"\r\nab"),
            (b"HTTP/1.1 200 ", b"\r\n" + LENGTH + b"\r\nab"),
            (OK + CHUNKED + b"\r\n2;a=", b"\r\nab\r\n0\r\n\r\n"),
            (OK + CHUNKED + b"\r\n2\r\nab\r\n0\r\nA: ", b"\r\n\r\n"),
        ):
            with subtests.test(before=before):
                assert read([before, *[much] * 64, after])[1] == b"ab"
                with pytest.raises(Malformed):
                    read([before, *[much] * 200, after])

    def test_long_bodies_of_small_chunks(self) -> None:
        """Framing is no overhead while the body gets on."""
        pieces = [b"1\r\nx\r\n"] * 50_000
        assert read([OK + CHUNKED + b"\r\n", *pieces, b"0\r\n\r\n"])[1] == b"x" * 50_000

    def test_trailers_are_no_headers(self) -> None:
        """What follows a body says nothing of it."""
        answer, _ = read([OK + CHUNKED + b"\r\n2\r\nab\r\n0\r\nContent-Length: 9\r\n\r\n"])
        assert answer.headers == [(b"Transfer-Encoding", b"chunked")]


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
