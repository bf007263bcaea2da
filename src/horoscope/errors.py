"""The errors a person may see: each message is one line that says what is wrong and what to do."""


class HoroscopeError(Exception):
    """Something outside the program is wrong (a file, a network, a setting). Exit code 1."""

    exit_code = 1


class InputError(HoroscopeError):
    """What the person typed or gave cannot be used as it is. Exit code 2."""

    exit_code = 2
