"""What the Bot API says when it will not do something."""


class ApiError(Exception):
    """An answer of the Bot API that is not ok."""

    def __init__(self, code: int, description: str, **parameters: int) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = parameters


def bad_request(reason: str) -> ApiError:
    """The answer to a call that can never work: 400."""
    return ApiError(400, f"Bad Request: {reason}")


def forbidden(reason: str) -> ApiError:
    """The answer to a bot that is not welcome: 403."""
    return ApiError(403, f"Forbidden: {reason}")


def too_many_requests(seconds: int) -> ApiError:
    """The answer to a bot that is too quick: 429."""
    return ApiError(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)
