"""What is wrong with an input: the errors that end a command with a message instead of a traceback.

Anything else that is raised, a ValueError of a library included, is a bug and keeps its traceback.
"""


class InputError(ValueError):
    """Something that the user gave cannot be used; the message says what was expected, what was got, what to try."""


class ArgumentError(InputError):
    """An argument cannot be used.

    Attributes
        name: the argument, as the signature of the function has it.
        message: what is wrong with it.
    """

    def __init__(self, name: str, message: str):
        super().__init__(name, message)
        self.name = name
        self.message = message

    def __str__(self) -> str:
        return f"{self.name}: {self.message}"
