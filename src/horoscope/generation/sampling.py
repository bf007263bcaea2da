"""Drawing the next token of each row, and how likely it was."""

import numpy as np
from numpy.typing import NDArray


def draw(
    logits: NDArray[np.float32], uniforms: NDArray[np.float64], temperature: float, min_p: float
) -> NDArray[np.int64]:
    """One token a row from logits [batch, vocabulary] by uniform numbers [batch] in [0, 1).

    Min-p sampling (arXiv:2407.01082): of the tokens at least `min_p` times as likely as the
    likeliest one, each by its probability at `temperature`. Few tokens are left by then, so the
    exponentials are taken of those only.
    """
    best = logits.max(axis=1)
    likely = logits >= (best + temperature * np.log(min_p))[:, None]
    # np.nonzero would do the same in fifteen times the time.
    rows, tokens = np.divmod(np.flatnonzero(likely), logits.shape[1])
    weights = np.exp((logits[rows, tokens].astype(np.float64) - best[rows]) / temperature)
    starts = np.searchsorted(rows, np.arange(len(logits)))
    ends = np.append(starts[1:], len(rows))
    chosen = np.empty(len(logits), np.int64)
    for row, (start, end) in enumerate(zip(starts, ends, strict=True)):
        # A row's own sum: its choice must not depend on its neighbours' rounding.
        cumulative = np.cumsum(weights[start:end])
        at = np.searchsorted(cumulative, uniforms[row] * cumulative[-1], side="right")
        chosen[row] = tokens[min(start + at, end - 1)]
    return chosen


def surprise(logits: NDArray[np.float32], tokens: NDArray[np.int64]) -> NDArray[np.float32]:
    """The nats [batch] by which the token of each row surprises a model that gave `logits` [batch,
    vocabulary]: minus the logarithm of its probability."""
    best = logits.max(axis=1)
    total: NDArray[np.float32] = np.exp(logits - best[:, None]).sum(axis=1)
    nats: NDArray[np.float32] = np.log(total) + best - logits[np.arange(len(tokens)), tokens]
    return nats
