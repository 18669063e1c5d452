"""Figure factories and the HTML report: no I/O."""
