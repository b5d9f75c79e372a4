"""optuna-dashboard on the study database, for reading only, with each study's question and the report beside it."""
