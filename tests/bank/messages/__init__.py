"""Messages of the bank, generated from tests/bank/protos (see tests/bank/__init__.py) and registered."""

from angzarr.messages import register_package
from tests.bank.messages import bank
from tests.bank.messages.bank import *  # noqa: F403

register_package(bank, "bank")
