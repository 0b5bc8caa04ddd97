import pytest

from angzarr.testing import router_laws
from examples.poker.app import hands, players
from tests.examples.poker.guided import COMMANDS

pytestmark = pytest.mark.once

test_players_obey_the_laws = router_laws(players, max_examples=40)
test_hands_obey_the_laws = router_laws(hands, commands=COMMANDS, max_examples=15)
