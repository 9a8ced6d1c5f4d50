"""What the AWS destinations share: options, the client, and what an answer means."""

import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from receiver.destinations import Message, open_destination
from receiver.destinations.aws import AwsDestination, Options, Service, endpoint, listed, open_client
from receiver.destinations.aws_messages import Limits
from receiver.errors import ConfigError
from receiver.outcomes import Delivered, GivenUp, Outcome, Retry
from tests.messages import message
from tests.processes import ends
from tests.servers.http_sink import Answer, http_sink
from tests.unit.destinations.sending import opened

HANGING_REQUEST = """
import asyncio, threading
from unittest.mock import MagicMock
from receiver.destinations.aws import AwsDestination, Options
from receiver.destinations.aws_messages import Limits
from tests.messages import message
service = MagicMock(title="Shelf", ordered=False, limits=Limits(request=1000, message=1000))
service.size_bytes.return_value = 1
service.put = lambda _: threading.Event().wait()
async def main():
    destination = AwsDestination("queue", service, Options(timeout_s=0.1))
    await destination.send([message(1)])
    await destination.aclose()
asyncio.run(main())
"""

pytestmark = pytest.mark.usefixtures("aws_environment")


class _Shelf(Service):
    """A service of a hundred bytes that answers as it is told."""

    title, target = "Shelf", "board"
    limits = Limits(request=100, message=1000)

    def __init__(self, *answers: Sequence[Outcome] | ClientError) -> None:
        self.client: Any = None
        self.asked: list[int] = []
        self._answers = list(answers)

    def size_bytes(self, message: Message) -> int:
        return len(message.body)

    def entries(self, chunk: Sequence[Message]) -> Sequence[Message]:
        return chunk

    def put(self, entries: Sequence[Message]) -> Sequence[Outcome]:
        self.asked.append(len(entries))
        answer = self._answers.pop(0)
        if isinstance(answer, ClientError):
            raise answer
        return answer

    def blames_a_message(self, code: str, told: str) -> bool:
        return code == "Blame" and told != "the board"


def _refusal(code: str, told: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": told}}, "Put")


class _Slow(_Shelf):
    """One that takes its time, and finds fault with any request of several."""

    limits = Limits(request=10_000, message=10_000)

    def __init__(self, takes_s: float) -> None:
        super().__init__()
        self._takes_s = takes_s

    def put(self, entries: Sequence[Message]) -> Sequence[Outcome]:
        self.asked.append(len(entries))
        if len(entries) > 1:
            raise _refusal("Blame")
        threading.Event().wait(self._takes_s)
        return [Delivered()]


class _Faulty(_Shelf):
    """One whose messages cannot be made, by a mistake of ours."""

    def entries(self, chunk: Sequence[Message]) -> Sequence[Message]:
        raise TypeError(chunk[0].id)


async def _send(service: Service, *batch: Message) -> Sequence[Outcome]:
    return await AwsDestination("queue", service, Options()).send(batch)


class TestEndpoint:
    @pytest.mark.parametrize("text", ["ftp://host", "http://", "https://user:hunter2@host", "host:9000"])
    def test_only_an_address_without_credentials(self, text: str) -> None:
        """Credentials belong to boto3's chain, and the error repeats none."""
        with pytest.raises(ValueError, match="http") as refused:
            endpoint(text)
        assert "hunter2" not in str(refused.value)


class TestOpenClient:
    def test_options_win_over_the_url(self) -> None:
        """What is set beside the URL is more deliberate than what the URL implies."""
        chosen = Options(region="us-east-1", endpoint_url="http://127.0.0.1:9")
        client = open_client("sns", "queue", chosen, region="eu-west-1", url="http://127.0.0.1:8")
        assert (client.meta.region_name, client.meta.endpoint_url) == ("us-east-1", "http://127.0.0.1:9")

    def test_without_any_region_the_setting_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A name without a region needs one from somewhere."""
        monkeypatch.delenv("AWS_DEFAULT_REGION")
        with pytest.raises(ConfigError, match="RECEIVER_DESTINATIONS__QUEUE__REGION"):
            open_client("events", "queue", Options(), region=None, url=None)


class TestSend:
    async def test_a_large_message_goes_alone(self) -> None:
        """What is more than a request usually takes is tried, by itself."""
        service = _Shelf([Delivered("a")], [Delivered("b")])
        assert await _send(service, message(1), message(2)) == [Delivered("a"), Delivered("b")]
        assert service.asked == [1, 1]

    async def test_a_refused_large_message_names_the_limit(self) -> None:
        """An operator learns which limit to raise, whoever found the message too large."""
        for answer in ([GivenUp("no")], _refusal("Blame")):
            [outcome] = await _send(_Shelf(answer), message(1))
            assert isinstance(outcome, GivenUp)
            assert "a board takes 100 unless set to more" in outcome.error

    async def test_a_larger_message_is_not_sent(self) -> None:
        """What the service never takes costs no request."""
        service = _Shelf()
        [outcome] = await _send(service, message(1, prompt="x" * 1000))
        assert isinstance(outcome, GivenUp)
        assert "Shelf takes 1000 at most" in outcome.error

    @pytest.mark.parametrize("lanes", [1, 4])
    async def test_each_request_has_its_own_deadline(self, lanes: int) -> None:
        """One bad message makes ten requests of one, which together take longer than `timeout_s`."""
        service = _Slow(takes_s=0.5)
        destination = AwsDestination("queue", service, Options(concurrency=lanes, timeout_s=2.0))
        outcomes = await destination.send([message(number) for number in range(10)])
        assert outcomes == [Delivered()] * 10
        assert service.asked == [10, *[1] * 10]

    async def test_a_mistake_of_ours_is_no_answer_of_aws(self) -> None:
        """It is told as what it is, not as a proxy in the way."""
        with pytest.raises(TypeError):
            await _send(_Faulty(), message(1))

    async def test_a_failed_entry_names_the_setting(self) -> None:
        """A Retry says where to look."""
        [outcome] = await _send(_Shelf([Retry("not now")]), message(1))
        assert outcome == Retry("not now (RECEIVER_DESTINATIONS__QUEUE__URL)")

    @pytest.mark.parametrize(
        ("code", "told"),
        [
            ("NotFoundException", "no such board"),
            ("KMSNotFoundException", "refused the request"),
            ("AuthorizationError", "refused the AWS credentials"),
            ("403", "refused the AWS credentials"),
            ("Unheard", "refused the request"),
        ],
    )
    async def test_a_refused_request_says_what_to_correct(self, code: str, told: str) -> None:
        """A missing target, a missing key and missing rights are told apart."""
        [outcome] = await _send(_Shelf(_refusal(code)), message(1))
        assert isinstance(outcome, Retry)
        assert told in outcome.error
        assert "RECEIVER_DESTINATIONS__QUEUE__URL" in outcome.error

    async def test_a_wrong_target_is_no_message_s_fault(self) -> None:
        """What a service says of the target gives up no message."""
        [outcome] = await _send(_Shelf(_refusal("Blame", "the board")), message(1))
        assert isinstance(outcome, Retry)


class TestOtherAnswers:
    @pytest.mark.parametrize(
        ("destination", "page"),
        [
            ("sqs:{}/1/q", b"<p>Down"),
            ("sqs:{}/1/q", b'{"Successful": [{}]}'),
            ("sns:arn:aws:sns:eu-west-1:123456789012:events", b""),
            ("sns:arn:aws:sns:eu-west-1:123456789012:events", b"[]"),
            ("eventbridge:default", b"{}"),
            ("eventbridge:default", b"null"),
        ],
    )
    async def test_what_answers_is_not_aws(self, destination: str, page: bytes) -> None:
        """A page that a proxy shows with a 200 is a Retry that names the setting, whatever is in it."""
        async with http_sink() as sink:
            sink.answer = lambda _: Answer(200, body=page)
            options = {"region": "eu-west-1", "endpoint_url": sink.url}
            opened = open_destination("queue", destination.format(sink.url), options)
            [outcome] = await opened.send([message(1)])
            await opened.check()
            await opened.aclose()
        assert isinstance(outcome, Retry)
        assert "RECEIVER_DESTINATIONS__QUEUE__URL" in outcome.error


class TestAclose:
    def test_hanging_request_keeps_no_process_from_ending(self) -> None:
        """What outlived its deadline ends with the process, not with boto3's own time-outs."""
        assert ends(HANGING_REQUEST)


class TestListed:
    def test_each_message_has_its_own_outcome(self) -> None:
        """An answer in any order, with gaps, is put in the order of the request."""
        failed = {"Id": "0", "Code": "InvalidParameter", "Message": "why", "SenderFault": True}
        throttled = {"Id": "2", "Code": "Throttled", "SenderFault": True}
        answer = {"Successful": [{"Id": "1", "MessageId": "m"}], "Failed": [throttled, failed]}
        assert [type(each) for each in listed("SNS", answer, 4)] == [GivenUp, Delivered, Retry, Retry]


class TestRenewal:
    @pytest.mark.parametrize(
        "url",
        [
            "sqs:https://sqs.eu-west-1.amazonaws.com/123456789012/events",
            "sns:arn:aws:sns:eu-west-1:123456789012:events",
            "eventbridge:events",
        ],
    )
    async def test_credentials_that_were_replaced_count_after_a_refusal(
        self, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """boto3 reads a credentials file once. Missing, half written and replaced ones need no restart."""
        file = tmp_path / "credentials"
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
        steps = (None, _credentials("OLD"), "[default", _credentials("NEW"), _credentials("NEW"))
        async with http_sink() as sink:
            sink.answer = lambda _: _REFUSED_AS_XML if url.startswith("sns:") else _REFUSED
            async with opened(url, endpoint_url=sink.url) as destination:
                for step in steps:
                    if step:
                        file.write_text(step)
                    [outcome] = await destination.send([message(1)])
                    assert isinstance(outcome, Retry)
                    assert "credentials" in outcome.error
        keys = [re.findall("Credential=([A-Z]+)/", each.headers["authorization"]) for each in sink.received]
        assert keys == [["OLD"], ["OLD"], ["NEW"], ["NEW"]]


_REFUSED = Answer(403, body=b'{"__type": "UnrecognizedClientException"}')
_REFUSED_AS_XML = Answer(
    403, body=b"<ErrorResponse><Error><Code>InvalidClientTokenId</Code></Error></ErrorResponse>"
)


def _credentials(key: str) -> str:
    return f"[default]\naws_access_key_id = {key}\naws_secret_access_key = secret\n"
