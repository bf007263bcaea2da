"""The CPU engine: an OpenVINO model that keeps its attention cache between steps."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from horoscope.errors import InputError
from horoscope.generation.description import ModelDescription

ENGINE_FILE = "openvino_model.xml"


class Answer(NamedTuple):
    """What the model says after the tokens it was fed."""

    logits: NDArray[np.float32]
    """Of the next token: [batch, vocabulary]."""
    scores: NDArray[np.float32]
    """The critic's logits that the last token is good and that it belongs: [batch, 2]; those of a
    sentence are the means of its tokens'. Zeros where there is no critic."""


class Engine:
    """Feeds tokens to the model, a column for the whole batch at a time.

    The attention cache is kept in float32: with it a row's logits are bit for bit the same
    whatever else is in the batch (measured), which the default 8-bit cache does not give.
    """

    def __init__(self, directory: Path, description: ModelDescription) -> None:
        check_engine_files(directory, description)
        core = ov.Core()
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
            "KV_CACHE_PRECISION": "f32",
            # A thread pinned to a core that others use waits for it: beside seven other busy
            # processes on two cores this alone is worth a factor of 2 (docs/decisions.md).
            "ENABLE_CPU_PINNING": False,
            # Activations as 8-bit integers too, a scale for each so many of them. 4-bit weights
            # have one for each 64: with any other number they are multiplied as floats, in 1.6
            # times the time.
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": 64 if description.bits == 4 else 128,
        }
        try:
            compiled = core.compile_model(directory / ENGINE_FILE, "CPU", options)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise InputError(
                f"The engine in {directory} cannot be read ({reason}); run `horoscope export`."
            ) from None
        self._request = compiled.create_infer_request()
        # In an odd number of rows, one of them is multiplied with 4-bit weights in another way, to
        # other numbers (measured): batches are filled up to a multiple.
        self._multiple = 4 if description.bits == 4 else 1
        self._has_critic = any("scores" in output.names for output in compiled.outputs)
        self._mask: NDArray[np.int64] = np.empty((0, 0), np.int64)
        self._rows: NDArray[np.int32] = np.empty(0, np.int32)

    def start(self, prompts: list[list[int]], width: int) -> Answer:
        """Begin a batch; what comes before the first token of each text.

        Each prompt is padded on the left to `width`, the longest prompt the model knows, so
        that its numbers do not depend on which other prompts are in the batch.
        """
        self._request.reset_state()
        ids = np.zeros((len(prompts), width), np.int64)
        self._mask = np.zeros((len(prompts), width), np.int64)
        for row, prompt in enumerate(prompts):
            ids[row, width - len(prompt) :] = prompt
            self._mask[row, width - len(prompt) :] = 1
        positions = np.maximum(self._mask.cumsum(axis=1) - 1, 0)
        self._rows = np.arange(len(prompts), dtype=np.int32)
        return self._infer(ids, positions)

    def step(self, tokens: NDArray[np.int64], positions: NDArray[np.int64]) -> Answer:
        """Feed one token [batch] at its position [batch] to each row."""
        self._mask = np.concatenate([self._mask, np.ones((len(tokens), 1), np.int64)], axis=1)
        return self._infer(tokens[:, None], positions[:, None])

    def forget(self, row: int, last: int) -> None:
        """Hide the last `last` tokens that a row still sees, as if they were never fed."""
        if last:
            self._mask[row, np.flatnonzero(self._mask[row])[-last:]] = 0

    def keep(self, rows: NDArray[np.int32]) -> None:
        """Go on with these rows of the batch, in this order; one may stand more than once."""
        self._mask = self._mask[rows]
        self._rows = self._rows[rows]

    def _infer(self, ids: NDArray[np.int64], positions: NDArray[np.int64]) -> Answer:
        rows = len(ids)
        fed = np.append(np.arange(rows), np.zeros(-rows % self._multiple, np.int64))
        inputs = {
            "input_ids": ids[fed],
            "attention_mask": self._mask[fed],
            "position_ids": positions[fed],
            "beam_idx": self._rows[fed],
        }
        answer = self._request.infer(inputs, share_outputs=True)
        self._rows = np.arange(rows, dtype=np.int32)
        scores = answer["scores"][:rows] if self._has_critic else np.zeros((rows, 2), np.float32)
        return Answer(answer["logits"][:rows], scores)


def check_engine_files(directory: Path, description: ModelDescription) -> None:
    """Raise InputError if the engine was never made, or is not all there."""
    if not description.engine:
        raise InputError(f"{directory} has no engine yet: run `horoscope export {directory}`.")
    for file in description.engine:
        path = directory / file.name
        if not path.is_file():
            raise InputError(f"{path} is missing; copy the model again.")
        if path.stat().st_size != file.bytes:
            raise InputError(
                f"{path} has {path.stat().st_size} bytes instead of {file.bytes}: "
                "half a download? Copy the model again."
            )
