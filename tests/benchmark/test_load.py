"""The load that benchmarks send, and how they read the clock."""

import os
import subprocess

import pytest

from tests.benchmark.contenders import bare_route
from tests.benchmark.cpu import cpu_s
from tests.benchmark.load import FORGED, NEW, Answers, WrongAnswer, deliveries, send

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class TestAnswers:
    @pytest.mark.parametrize("received", [WHOLE[:9], WHOLE[:-3], WHOLE[:-1]])
    def test_an_answer_in_pieces_is_not_whole_before_its_last_byte(self, received: bytes) -> None:
        assert Answers(200).stays(received) is None

    def test_tells_whether_the_connection_stays(self) -> None:
        answers = Answers(200)
        closing = WHOLE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        assert [answers.stays(each) for each in (WHOLE, closing, WHOLE, closing)] == [
            True,
            False,
            True,
            False,
        ]

    @pytest.mark.parametrize("received", [WHOLE, WHOLE.replace(b"200", b"503")])
    def test_refuses_another_status_each_time(self, received: bytes) -> None:
        """Also once it has been seen: the count of what was answered holds only what was expected."""
        answers = Answers(401)
        for _ in range(2):
            with pytest.raises(WrongAnswer):
                answers.stays(received)

    def test_refuses_more_than_was_asked_for(self) -> None:
        with pytest.raises(WrongAnswer):
            Answers(200).stays(WHOLE + WHOLE)


class TestSend:
    def test_counts_each_request_once_it_is_answered(self) -> None:
        with bare_route("asyncio") as server:
            load = send(server.port, deliveries(NEW, "some", 500), Answers(200), connections=8)
            assert (load.requests, load.p50_ms <= load.p99_ms) == (500, True)
            with pytest.raises(WrongAnswer):
                send(server.port, deliveries(FORGED, "some", 500), Answers(401), connections=8)


class TestCpu:
    def test_counts_children_that_live_and_that_ended(self) -> None:
        """PostgreSQL forks and reaps all the time; none of that may get lost."""
        before = cpu_s(os.getpid())
        work = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"
        subprocess.run(["sh", "-c", work], check=True)
        ended = cpu_s(os.getpid())
        with subprocess.Popen(["sh", "-c", f"{work}; echo; read x"], stdin=-1, stdout=-1) as child:
            assert child.stdout
            child.stdout.readline()
            both = cpu_s(os.getpid())
            child.kill()
        assert ended - before > 0.02
        assert both - ended > 0.02
