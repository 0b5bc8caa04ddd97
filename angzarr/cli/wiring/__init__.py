"""Static wiring: what an application's handlers take and give, and the rules that this must keep."""

from angzarr.cli.wiring.findings import Finding, Severity
from angzarr.cli.wiring.model import Wiring, wiring_of
from angzarr.cli.wiring.rules import RULES, Rule, check

__all__ = ["RULES", "Finding", "Rule", "Severity", "Wiring", "check", "wiring_of"]
