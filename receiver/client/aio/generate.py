"""`client.generate`: request images and videos. Each call costs credits, and is never repeated in doubt."""

from collections.abc import Mapping

from receiver.client.aio.caller import Caller
from receiver.client.aio.submissions import Submissions
from receiver.client.errors import OutcomeUnknown
from receiver.client.paid_calls import OnUnknown, Terms, paid_call
from receiver.client.parameters import INHERIT, OMIT, Inherit, Omit, image_body, video_body
from receiver.client.results import Generation
from receiver.contract import ImageAspectRatio, ImageFormat, VideoAspectRatio


class Generate:
    """Requests generations."""

    def __init__(self, caller: Caller, submissions: Submissions, *, durable: bool) -> None:
        self._caller = caller
        self._submissions = submissions
        self._durable = durable

    async def image(  # noqa: PLR0913  # the document's parameters and ours, by name
        self,
        prompt: str,
        *,
        model: str | Omit = OMIT,
        aspect_ratio: ImageAspectRatio | Omit = OMIT,
        output_format: ImageFormat | Omit = OMIT,
        webhook_url: str | Inherit | None = INHERIT,
        client_ref: str | None = None,
        metadata: Mapping[str, object] | None = None,
        on_unknown: OnUnknown = "raise",
        max_credits: int | None = None,
    ) -> Generation:
        """Request an image, and return at once, while it is processing.

        The provider chooses what you leave out.

        Args:
            prompt: what to show.
            model: an id of `models.list`.
            aspect_ratio: 1:1, 16:9, 9:16, 4:3, 3:4, 3:2 or 2:3.
            output_format: webp, png or jpg.
            webhook_url: URL to notify; None for none, even if the client has one.
            client_ref: your idempotency key, kept in the ledger: a second call with it sends nothing, and
                returns the generation of the first.
            metadata: a JSON object, kept with it and passed on with its event; the provider never sees it.
            on_unknown: `recover` searches for the generation if its answer was lost, and adopts a single
                match.
            max_credits: refuse a model whose listed price is higher.

        Raises:
            InvalidParameter: a value the API document does not allow, or a price above *max_credits*; nothing
                was sent.
            NotSent: the provider could not be reached; nothing was charged.
            OutcomeUnknown: it may have been accepted, and charged; it was not sent again.
            ApiError: the provider refused.
            StoreUnavailable: the ledger did not answer; nothing was sent.
        """
        body = image_body(
            prompt,
            model=model,
            aspect_ratio=aspect_ratio,
            output_format=output_format,
            webhook_url=self._callback(webhook_url),
        )
        terms = Terms(client_ref, metadata, on_unknown, max_credits)
        return await self._submissions.submit(paid_call("image", body, terms, durable=self._durable))

    async def video(  # noqa: PLR0913  # the document's parameters and ours, by name
        self,
        prompt: str,
        *,
        model: str | Omit = OMIT,
        aspect_ratio: VideoAspectRatio | Omit = OMIT,
        duration: int | Omit = OMIT,
        first_frame_image: str | Omit = OMIT,
        webhook_url: str | Inherit | None = INHERIT,
        client_ref: str | None = None,
        metadata: Mapping[str, object] | None = None,
        on_unknown: OnUnknown = "raise",
        max_credits: int | None = None,
    ) -> Generation:
        """Request a video, and return at once, while it is processing.

        The provider chooses what you leave out.

        Args:
            prompt: what to show.
            model: an id of `models.list`.
            aspect_ratio: 16:9, 9:16, 1:1, 4:3 or 3:4.
            duration: whole seconds, 1 to 10.
            first_frame_image: the URL of an image to start from.
            webhook_url: URL to notify; None for none, even if the client has one.
            client_ref: your idempotency key, kept in the ledger: a second call with it sends nothing, and
                returns the generation of the first.
            metadata: a JSON object, kept with it and passed on with its event; the provider never sees it.
            on_unknown: `recover` searches for the generation if its answer was lost, and adopts a single
                match.
            max_credits: refuse a model whose listed price is higher.

        Raises:
            InvalidParameter: a value the API document does not allow, or a price above *max_credits*; nothing
                was sent.
            NotSent: the provider could not be reached; nothing was charged.
            OutcomeUnknown: it may have been accepted, and charged; it was not sent again.
            ApiError: the provider refused.
            StoreUnavailable: the ledger did not answer; nothing was sent.
        """
        body = video_body(
            prompt,
            model=model,
            aspect_ratio=aspect_ratio,
            duration=duration,
            first_frame_image=first_frame_image,
            webhook_url=self._callback(webhook_url),
        )
        terms = Terms(client_ref, metadata, on_unknown, max_credits)
        return await self._submissions.submit(paid_call("video", body, terms, durable=self._durable))

    async def recover(self, unknown: OutcomeUnknown | str) -> Generation:
        """Find the generation of *unknown* (or of the submission with that `client_ref`), and adopt it.

        Only reads are sent. It is found if exactly one generation in the provider's list has the same
        kind, model and prompt, was made after the request was sent, and belongs to no other submission.

        Raises:
            NotCharged: it was not accepted, which is known from `settles_at` on; it may be sent again.
            OutcomeUnknown: no match so far, several, or an inconclusive list: see `candidates`.
            InvalidParameter: it is not about a generation, there is no such submission, or it is settled.
        """
        if isinstance(unknown, str):
            unknown = await self._submissions.unsettled(unknown)
        return await self._submissions.recover(unknown)

    async def adopt(self, client_ref: str, generation_id: str) -> Generation:
        """Settle the submission of that name as this generation, if recovery could not.

        Raises:
            GenerationClaimed: it belongs to another submission.
            InvalidParameter: there is no such submission, or it is settled.
            NotFound: the provider has no such generation.
        """
        return await self._submissions.adopt(client_ref, generation_id)

    async def abandon(self, client_ref: str) -> None:
        """Settle the submission of that name as never accepted, so that it may be sent again.

        Check the provider's own pages first: if it was accepted after all, the next call charges again.

        Raises:
            InvalidParameter: there is no such submission, or it became a generation.
        """
        await self._submissions.abandon(client_ref)

    def _callback(self, webhook_url: str | Inherit | None) -> str | None:
        return self._caller.config.webhook_url if isinstance(webhook_url, Inherit) else webhook_url
