"""Why our stack and gdb's differ, by what the difference shows."""

CAUSES = {"unexplained": "nobody knows"}


def explain(differences, combination, gdb_thread, our_thread):
    """Gives each difference its "cause", a key of CAUSES."""
    for difference in differences:
        difference.pop("sides")
        difference["cause"] = "unexplained"
