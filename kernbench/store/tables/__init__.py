"""Tables of results and of Optuna, and the state of cells that they tell."""
