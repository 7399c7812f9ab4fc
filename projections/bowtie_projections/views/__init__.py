"""The questions: one module a view. A view is a plain function that gives a Result."""
