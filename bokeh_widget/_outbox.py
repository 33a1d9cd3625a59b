"""When something may be sent to those who listen, and whom to remind. Pure: it knows no comm and no clock.

``js/src/outbox.ts`` keeps the same rules, and both are tested with the cases in ``tests/flow``. Times are
milliseconds of any clock that does not go back; what is sent has rising numbers.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

DEFAULT_WINDOW: Final = 2
"""Frames on their way to a peer: one that travels while the other is painted."""

DEFAULT_EXPIRY_MS: Final = 2000.0
"""Without an acknowledgement for so long a peer lags: it is reminded, and holds up nobody else."""

DEFAULT_REFILL_MS: Final = 100.0
"""While no acknowledgement can be read, a frame counts as arrived after this: 20 a second, with a window of 2."""

MAX_REMINDER_MS: Final = 30_000.0
"""A peer that stays away is reminded this often."""

EASY_MS: Final = 10.0
BUSY_MS: Final = 30.0
"""A page that needs longer than this for a frame can do nothing else beside painting: it gets one at a time, since a
second one would only be older when it is painted. What takes no longer than ``EASY_MS`` counts for nothing:
other work of the page is in it."""

_MAX_TRACKED: Final = 64
_ROUNDING: Final = 1e-9

Peer = TypeVar("Peer", bound="Hashable")


@dataclass(slots=True)
class _Flight:
    """What is on its way to one peer."""

    acknowledged: int
    frames: deque[tuple[int, float, float]] = field(default_factory=deque)
    last_acknowledgement_ms: float | None = None
    reminded_ms: float | None = None
    reminders: int = 0
    at_least: float = 0.0
    """What part of the window a frame takes, however light, since the peer needs so long for it."""
    own: int = 0
    """The last number that the peer has by itself, since it is its own change."""

    def settle(self) -> None:
        """With nothing on its way, the peer has what it changed itself, too."""
        if not self.frames:
            self.acknowledged = max(self.acknowledged, self.own)

    @property
    def oldest_ms(self) -> float | None:
        return self.frames[0][1] if self.frames else None

    def weight(self, limit_ms: float, now_ms: float, *, at_least: float) -> float:
        """Add up the weights of the frames that were sent since."""
        return sum(max(weight, at_least) for _, sent_ms, weight in self.frames if now_ms - sent_ms < limit_ms)


class Outbox(Generic[Peer]):
    """Counts what is on its way, and decides when more may follow.

    Parameters
    ----------
    window : int
        Frames that may be on their way to a peer at once; what is sent may weigh less or more than one of them.
    expiry_ms : float
        When a peer that does not answer begins to lag.
    refill_ms : float
        When a frame counts as arrived while no acknowledgement can be read.
    remind_ms : float, optional
        When a peer that does not answer is reminded; by default when it begins to lag.
    """

    def __init__(
        self,
        *,
        window: int = DEFAULT_WINDOW,
        expiry_ms: float = DEFAULT_EXPIRY_MS,
        refill_ms: float = DEFAULT_REFILL_MS,
        remind_ms: float | None = None,
    ) -> None:
        self._usual_weight = 1 / window
        self._expiry_ms = expiry_ms
        self._refill_ms = refill_ms
        self._remind_ms = expiry_ms if remind_ms is None else remind_ms
        self._flights: dict[Peer, _Flight] = {}
        self._blocked_ms: float | None = None

    # --- peers -----------------------------------------------------------------------------

    def attach(self, peer: Peer, number: int) -> None:
        """Wait for a peer from now on, which has everything up to ``number``."""
        known = self._flights.get(peer)
        flight = _Flight(number)
        if known is not None:
            flight.frames.extend(frame for frame in known.frames if frame[0] > number)
            flight.last_acknowledgement_ms = known.last_acknowledgement_ms
            flight.at_least = known.at_least
        self._flights[peer] = flight

    def leave(self, peer: Peer) -> None:
        """Forget a peer."""
        self._flights.pop(peer, None)

    def peers(self) -> list[Peer]:
        """Give those who are known."""
        return list(self._flights)

    def __contains__(self, peer: object) -> bool:
        """Whether the peer is known."""
        return peer in self._flights

    def acknowledge(self, peer: Peer, number: int, now_ms: float, *, cost_ms: float = 0.0) -> None:
        """Take note that a peer has everything up to ``number``.

        Parameters
        ----------
        peer : peer
            Who.
        number : int
            The last one that it has.
        now_ms : float
            When this was heard.
        cost_ms : float, optional
            For how long the latest frame kept it busy: of what follows as many may be on their way as it can take.
        """
        flight = self._flights.get(peer)
        if flight is None:
            return
        flight.last_acknowledgement_ms = now_ms
        flight.at_least = min(1.0, max(0.0, cost_ms - EASY_MS) / (BUSY_MS - EASY_MS))
        if number <= flight.acknowledged:
            return
        flight.acknowledged = number
        while flight.frames and flight.frames[0][0] <= number:
            flight.frames.popleft()
        flight.settle()
        flight.reminded_ms = None
        flight.reminders = 0

    def acknowledged(self, peer: Peer) -> int | None:
        """Give the number up to which a peer has everything; None for a stranger."""
        flight = self._flights.get(peer)
        return None if flight is None else flight.acknowledged

    def in_flight(self, peer: Peer) -> int:
        """Count what is on its way to a peer."""
        flight = self._flights.get(peer)
        return 0 if flight is None else len(flight.frames)

    def is_lagging(self, peer: Peer, now_ms: float) -> bool:
        """Tell whether a peer has not answered for too long."""
        flight = self._flights.get(peer)
        return flight is not None and self._lags(flight, now_ms)

    # --- sending ---------------------------------------------------------------------------

    def sent(self, number: int, now_ms: float, *, weight: float | None = None, besides: Peer | None = None) -> None:
        """Take note that something is on its way to all peers, but not to ``besides``.

        Parameters
        ----------
        number : int
            Its number.
        now_ms : float
            When it was sent.
        weight : float, optional
            What part of the window it takes; by default one of ``window`` frames. More follows while less than 1 is
            on its way.
        besides : peer, optional
            Who does not get it.
        """
        for peer, flight in self._flights.items():
            if besides is not None and peer == besides:
                flight.own = number
                flight.settle()
                continue
            wanted = self._usual_weight if weight is None else weight
            flight.frames.append((number, now_ms, max(wanted, flight.at_least)))
            if len(flight.frames) > _MAX_TRACKED:
                del flight.frames[1]  # the oldest tells for how long the peer has been silent

    def block(self, now_ms: float) -> None:
        """From here on perhaps no acknowledgement is read: a cell runs."""
        self._blocked_ms = now_ms

    def unblock(self) -> None:
        """Acknowledgements are read again."""
        self._blocked_ms = None

    @property
    def is_blocked(self) -> bool:
        """Whether perhaps no acknowledgement is read."""
        return self._blocked_ms is not None

    def is_ready(self, now_ms: float) -> bool:
        """Tell whether something may be sent now."""
        return all(self._has_room(flight, now_ms) for flight in self._gating(now_ms))

    def wait_ms(self, now_ms: float) -> float | None:
        """Give the time until :meth:`is_ready` turns true by itself; None if it is true, or never does."""
        if self.is_ready(now_ms):
            return None
        moments = {
            sent_ms + limit_ms
            for flight in self._flights.values()
            for _, sent_ms, _ in flight.frames
            for limit_ms in (self._slot_ms(flight), self._expiry_ms)
        }
        for moment in sorted(moments):
            if moment > now_ms and self.is_ready(moment):
                return moment - now_ms
        return None

    def overdue(self, now_ms: float) -> list[Peer]:
        """Give the peers that are to be reminded now; they count as reminded."""
        found = []
        for peer, flight in self._flights.items():
            due_ms = self._reminder_ms(flight)
            if due_ms is not None and now_ms >= due_ms:
                flight.reminded_ms = now_ms
                flight.reminders += 1
                found.append(peer)
        return found

    def reminder_wait_ms(self, now_ms: float) -> float | None:
        """Give the time until the next peer is overdue; None if nothing is on its way."""
        due = [moment for flight in self._flights.values() if (moment := self._reminder_ms(flight)) is not None]
        return max(0.0, min(due) - now_ms) if due else None

    def _reminder_ms(self, flight: _Flight) -> float | None:
        oldest_ms = flight.oldest_ms
        if oldest_ms is None:
            return None
        if flight.reminded_ms is None:
            return oldest_ms + self._remind_ms
        return flight.reminded_ms + min(self._remind_ms * float(2 ** min(flight.reminders, 10)), MAX_REMINDER_MS)

    def _lags(self, flight: _Flight, now_ms: float) -> bool:
        oldest_ms = flight.oldest_ms
        return oldest_ms is not None and now_ms - oldest_ms >= self._expiry_ms

    def _gating(self, now_ms: float) -> Iterator[_Flight]:
        keeping_up = [flight for flight in self._flights.values() if not self._lags(flight, now_ms)]
        yield from keeping_up or self._flights.values()

    def _slot_ms(self, flight: _Flight) -> float:
        if self._blocked_ms is None:
            return self._expiry_ms
        last_ms = flight.last_acknowledgement_ms
        is_read = last_ms is not None and last_ms >= self._blocked_ms
        return self._expiry_ms if is_read else min(self._refill_ms, self._expiry_ms)

    def _has_room(self, flight: _Flight, now_ms: float) -> bool:
        slot_ms = self._slot_ms(flight)
        # by time alone no more than the window, however light
        at_least = 0.0 if slot_ms == self._expiry_ms else self._usual_weight
        return flight.weight(slot_ms, now_ms, at_least=at_least) < 1 - _ROUNDING
