"""The application: `angzarr dev examples.poker.app:app` runs it by itself."""

from angzarr import App, Router
from examples.poker.hands import Hands
from examples.poker.players import Players

hands = Router("hands").with_handler(Hands, Hands).build()
players = Router("players").with_handler(Players, Players).build()
app = App("poker", routers=[hands, players])
