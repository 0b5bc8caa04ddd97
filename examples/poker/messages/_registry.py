"""The protobuf names of the messages here. Written by `angzarr protos compile`; do not edit."""

from importlib import import_module
from pathlib import Path

from angzarr.messages.descriptors import register_descriptors
from angzarr.messages.names import register_names

NAMES: dict[str, dict[str, str]] = {
    "hand": {
        "hand.AntePosted": "AntePosted",
        "hand.BetOrRaiseTo": "BetOrRaiseTo",
        "hand.BlindPosted": "BlindPosted",
        "hand.BoardDealt": "BoardDealt",
        "hand.CardsMucked": "CardsMucked",
        "hand.CardsShown": "CardsShown",
        "hand.CheckOrCall": "CheckOrCall",
        "hand.Chips": "Chips",
        "hand.DealBoard": "DealBoard",
        "hand.DealHole": "DealHole",
        "hand.Entry": "Entry",
        "hand.Fold": "Fold",
        "hand.HandSettled": "HandSettled",
        "hand.HandStarted": "HandStarted",
        "hand.HoleCardsDealt": "HoleCardsDealt",
        "hand.MuckCards": "MuckCards",
        "hand.PlayerCalled": "PlayerCalled",
        "hand.PlayerChecked": "PlayerChecked",
        "hand.PlayerFolded": "PlayerFolded",
        "hand.PlayerRaised": "PlayerRaised",
        "hand.PostAnte": "PostAnte",
        "hand.PostBlind": "PostBlind",
        "hand.PotAwarded": "PotAwarded",
        "hand.SettleHand": "SettleHand",
        "hand.Share": "Share",
        "hand.ShowCards": "ShowCards",
        "hand.StartHand": "StartHand",
        "hand.UncalledBetReturned": "UncalledBetReturned",
    },
    "player": {
        "player.DepositFunds": "DepositFunds",
        "player.FundsDeposited": "FundsDeposited",
        "player.FundsWithdrawn": "FundsWithdrawn",
        "player.PlayerRegistered": "PlayerRegistered",
        "player.RegisterPlayer": "RegisterPlayer",
        "player.WithdrawFunds": "WithdrawFunds",
    },
}

_modules = {name: import_module(f"{__package__}.{name}".rstrip(".")) for name in NAMES}
for _name, _module in _modules.items():
    register_names(_module, NAMES[_name])
register_descriptors(Path(__file__).with_name("descriptors.binpb"))
