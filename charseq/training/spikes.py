"""Whether a step's loss is far above what has been usual: worth a line in the log."""

from dataclasses import dataclass

MEMORY = 0.98  # of the means: they reach back about fifty steps
FEWEST = 50  # steps before anything is unusual
FAR = 8.0  # mean absolute deviations: 6.4 standard deviations where losses are normal
LEAST = 0.2  # nats: near 0 losses are far from normal, and one hard batch is no news


@dataclass
class Usual:
    """Moving means of a step's loss and of its distance from that mean, in nats per symbol."""

    loss: float = 0.0
    deviation: float = 0.0
    steps: int = 0

    def take_in(self, loss: float) -> bool:
        """Take in the loss of a step; whether it stands far above those before it."""
        bound = self.loss + max(LEAST, FAR * self.deviation)
        spike = self.steps >= FEWEST and loss > bound
        loss = min(loss, bound) if spike else loss  # a spike must not make the next one usual
        keep = min(MEMORY, self.steps / (self.steps + 1))  # at first a plain mean
        self.deviation = keep * self.deviation + (1 - keep) * abs(loss - self.loss)
        if self.steps == 0:
            self.deviation = 0.0
        self.loss = keep * self.loss + (1 - keep) * loss
        self.steps += 1
        return spike
