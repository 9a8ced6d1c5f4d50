"""`Sandbox`: the provider's whole API on this machine."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from receiver.contract import SCOPES
from receiver.errors import ConfigError
from receiver.listener import origin
from receiver.sandbox.app import API_PATH, create_app
from receiver.sandbox.clock import Clock, SystemClock
from receiver.sandbox.dialect import Dialect
from receiver.sandbox.drawing import require_libraries
from receiver.sandbox.faults import Fault
from receiver.sandbox.provider import Provider
from receiver.sandbox.server import Server, listen
from receiver.sandbox.state import ACCOUNT, DEFAULT_WEBHOOK_SECRET, Knobs, Seen, Sent
from receiver.sandbox.studio import DEFAULT_REASON
from receiver.signatures import check_secrets


class Sandbox:
    """The provider's whole API on loopback, with real files and real webhooks.

    `with Sandbox() as sandbox:` serves it on a thread, `async with` within the running loop. `app` is the
    same API as an ASGI application, for a server or transport of your own.

    Args:
        host: a loopback address.
        port: 0 takes a free one.
        seed: the same seed gives the same keys, ids, failures, losses and duplicates; without one, generation
            ids are unique to the run.
        knobs: how it behaves.
        dialect: how it reads what the provider's document leaves open.
        webhook_secret: signs every webhook; at least 16 bytes.
        clock: its time.

    Raises:
        ConfigError: the host is not loopback, the port is taken, the secret is weak, or a library is missing.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int | None = None,
        knobs: Knobs | None = None,
        dialect: Dialect | None = None,
        webhook_secret: str = DEFAULT_WEBHOOK_SECRET,
        clock: Clock | None = None,
    ) -> None:
        require_libraries()
        try:
            check_secrets([webhook_secret.encode()])
        except ValueError as error:
            raise ConfigError(f"webhook_secret: {error}") from error
        self.dialect = dialect or Dialect()
        self._provider = Provider(
            knobs or Knobs(), clock or SystemClock(), self.dialect, seed=seed, webhook_secret=webhook_secret
        )
        self._wanted = (host, port)
        self._server: Server | None = None
        self._origin: str | None = None
        self.webhook_secret = webhook_secret
        self.app = create_app(self._provider)

    @property
    def url(self) -> str:
        """The base URL for a client, while serving."""
        return self.origin + API_PATH

    @property
    def origin(self) -> str:
        """Scheme, host and port, while serving."""
        assert self._origin is not None, "the sandbox is not running"
        return self._origin

    @property
    def knobs(self) -> Knobs:
        """How it behaves; assign to change that from now on."""
        return self._provider.state.knobs

    @knobs.setter
    def knobs(self, knobs: Knobs) -> None:
        self._provider.turn(knobs)

    def key(
        self,
        *scopes: str,
        account: str = ACCOUNT,
        ip_allowlist: Sequence[str] = (),
        expires_at: float | None = None,
    ) -> str:
        """Return a new API key with these scopes, by default all.

        *expires_at* is in seconds since the epoch; *ip_allowlist* holds addresses or networks.

        Raises:
            ValueError: there is no such scope.
        """
        unknown = set(scopes) - set(SCOPES)
        if unknown:
            raise ValueError(f"no such scope: {', '.join(sorted(unknown))}")
        made = self._provider.add_key(
            name="made in the sandbox",
            account=account,
            scopes=scopes or SCOPES,
            ip_allowlist=ip_allowlist,
            expires_at=expires_at,
        )
        return made.key

    def revoke(self, key: str) -> None:
        """Revoke an API key.

        Raises:
            KeyError: there is no such key.
        """
        del self._provider.state.keys[key]

    def session_cookie(self, account: str = ACCOUNT) -> str:
        """Return a new session of the web interface as the value of a `Cookie` header: `name=value`."""
        session = self._provider.state.token(32)
        self._provider.state.sessions[session] = account
        return f"{self.dialect.session_cookie_name}={session}"

    def secret_of(self, webhook_id: str) -> str:
        """Return the signing secret of a registered webhook.

        Raises:
            KeyError: there is no such webhook.
        """
        return self._provider.state.webhooks[webhook_id].secret

    def credits(self, account: str = ACCOUNT) -> int:
        """Return the credits of *account*."""
        return self._provider.state.credits[account]

    def set_credits(self, amount: int, account: str = ACCOUNT) -> None:
        """Set the credits of *account* to exactly that."""
        self._provider.state.credits[account] = amount

    def charges(self, account: str = ACCOUNT) -> int:
        """Return how many generations *account* was charged for, including those refunded since."""
        return len(self.generation_ids(account))

    def generation_ids(self, account: str = ACCOUNT) -> tuple[str, ...]:
        """Return the generations of *account*, oldest first."""
        rows = list(self._provider.state.generations.values())
        return tuple(row.id for row in rows if row.account == account)

    def fail(self, operation: str, fault: Fault, *, times: int = 1) -> None:
        """Make the next *times* calls of *operation* go wrong, after the faults already queued.

        Operations are named as in `receiver.sandbox.OPERATION_NAMES`.

        Raises:
            ValueError: there is no such operation, or *times* is below 1.
        """
        self._provider.faults.add(operation, fault, times)

    def pending_faults(self) -> Mapping[str, tuple[Fault, ...]]:
        """Return the faults not used yet, by operation; empty if there are none."""
        return self._provider.faults.pending()

    def complete(self, generation_id: str) -> None:
        """Finish a generation now, whatever its progression.

        Raises:
            KeyError: there is no such generation.
            ValueError: it is finished already.
        """
        self._provider.studio.settle(generation_id, None)

    def fail_generation(self, generation_id: str, reason: str = DEFAULT_REASON) -> None:
        """Make a generation fail now.

        Raises:
            KeyError: there is no such generation.
            ValueError: it is finished already.
        """
        self._provider.studio.settle(generation_id, reason)

    def resend(self, generation_id: str) -> None:
        """Send the webhooks of a finished generation again, without mishaps.

        Raises:
            KeyError: there is no such generation.
            ValueError: it is not finished.
        """
        self._provider.studio.resend(generation_id)

    @property
    def seen(self) -> tuple[Seen, ...]:
        """Every API request so far, in order."""
        return tuple(self._provider.state.seen)

    @property
    def sent(self) -> tuple[Sent, ...]:
        """Every attempt to deliver a webhook so far, in order."""
        return tuple(self._provider.state.sent)

    @property
    def lost(self) -> tuple[str, ...]:
        """The generation of each webhook lost on purpose so far."""
        return tuple(self._provider.state.lost)

    def __enter__(self) -> Self:
        self._bind().start_thread()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.stop_thread()

    async def __aenter__(self) -> Self:
        await self._bind().start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            await self._server.stop()

    def _bind(self) -> Server:
        listener = listen(*self._wanted)
        self._origin = origin(listener)
        self._server = Server(self.app, listener, on_stop=self._provider.close)
        return self._server
