"""What we say when the input, and not our code, is wrong."""


class InputError(ValueError):
    """A mistake in data or settings that its owner can mend.

    The message is one line: what is wrong, how many, where first, what to do. It never quotes a customer's data.
    """


class NoRoomError(InputError):
    """The disk is full."""
