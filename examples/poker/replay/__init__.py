"""The main job of the example: recorded hands become commands, and the stored events must give the recorded result."""
