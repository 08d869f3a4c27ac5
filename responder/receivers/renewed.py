"""A receiver whose address, token, signing secret or template changes in its file while we run."""

from collections import Counter

from responder.core.alert import Alert
from responder.ports import Receiver
from responder.reloading import Reloaded


class Renewed:
    """What is being sent ends with the secrets that it began with; what is sent next has the new ones."""

    def __init__(self, built: Reloaded[Receiver]) -> None:
        self.built = built
        self.name = built.value.name
        self.repeat_every = built.value.repeat_every
        self._sending: Counter[Receiver] = Counter()  # in use now or, at zero, with connections that may be open

    async def send(self, alert: Alert, reference: str) -> str:
        receiver = self.built.value
        self._sending[receiver] += 1
        try:
            return await receiver.send(alert, reference)
        finally:
            self._sending[receiver] -= 1
            await self._let_go()

    async def _let_go(self) -> None:
        for receiver in [one for one, sending in self._sending.items() if not sending and one is not self.built.value]:
            del self._sending[receiver]
            await receiver.close()

    async def close(self) -> None:
        for receiver in list(self._sending):
            await receiver.close()
