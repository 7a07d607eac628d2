"""Every error this project raises on purpose.

* WinnowError
  + BadInput         a file, a column mapping, a text or a setting cannot be used as it is
  + UnknownName      a registry or the workspace was asked for a name it does not hold
  + MissingInput     a step lacks an input that an earlier step makes
  + BadBudget        the number of examples asked for cannot be met
  + BadModel         a model, tokenizer or scorer folder cannot be loaded
  + OutOfMemory      the device or the machine has too little memory for what was asked
  + StorageError     the workspace cannot be read or written (disk full, no permission, in use)
  + Stopped          the user asked the work to stop
* BrokenContract     a plugin returned something its contract forbids (our bug, shown as a traceback)

Each message says what was asked, what was found, and what to do next.
"""


class WinnowError(Exception):
    """Base of the project's own errors: the UI shows these as text, never as a traceback."""


class BadInput(WinnowError): ...


class UnknownName(WinnowError): ...


class MissingInput(WinnowError): ...


class BadBudget(WinnowError): ...


class BadModel(WinnowError): ...


class StorageError(WinnowError): ...


class OutOfMemory(WinnowError): ...


class Stopped(WinnowError): ...


class BrokenContract(Exception): ...
