"""The one error that means: what you gave is wrong, and here is how."""


class InputError(ValueError):
    """A file, row, key or argument that `morl` cannot take.

    The message names where it is, what was found and what was expected. Command lines
    print it alone and exit with code 2; from Python it is an ordinary ``ValueError``.

    Args:
      message: What was found, and what was expected.
      where: The file, row or key, such as ``"train.jsonl:12: labels.helpful"``.

    Examples:
      >>> raise InputError("found 'three', expected a number", where="a.jsonl:3")
      Traceback (most recent call last):
      ...
      morl.errors.InputError: a.jsonl:3: found 'three', expected a number
    """

    def __init__(self, message: str, *, where: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.where = where
