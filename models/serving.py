"""The child's side of models.child: requests in, replies out. It loads next to nothing, because every child holds it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from models import ModelError

Answer = Callable[[dict[str, Any]], dict[str, Any]]


def serve(load: Callable[[dict[str, Any]], Answer]) -> None:
    """The child: load what the first line names, then answer line for line until the input ends.

    A ModelError of either is the reply; anything else ends the process.
    """
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever native code prints must not come between the replies
    answer: Answer | None = None
    for line in requests:
        request = json.loads(line)
        try:
            if answer is None:
                answer = load(request)
                reply: dict[str, Any] = {}
            else:
                reply = answer(request)
        except ModelError as error:
            reply = {"error": str(error)}
        replies.write(json.dumps(reply).encode() + b"\n")
        replies.flush()
