"""Did a change make a model worse? Budgets, accuracy and timing, as gates for continuous integration."""
