"""What `bench.fuzz` is made of: sound files, seeded ways to damage them, and an arena that judges the command."""
