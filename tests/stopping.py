"""What asks a training to stop."""


class StopAt:
    """Says stop at one question and never again."""

    def __init__(self, question):
        self._left = question

    def __call__(self):
        self._left -= 1
        return self._left == 0
