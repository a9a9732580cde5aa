"""What is wrong with input, a model or the disk; imported without anything heavy."""


class InputError(ValueError):
    """A mistake in data or settings that its owner can fix.

    The message is one line: what is wrong, how many, where first, what to do. It never quotes a customer's data.
    """


class ModelError(InputError):
    """A model that this code cannot read or score with: of an older version, of another layout, or damaged."""


class NoRoomError(InputError):
    """The disk is full."""
