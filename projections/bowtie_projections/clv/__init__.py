"""Models of what customers will be worth: of buying without a contract, of spend, of renewing.

Each is fitted by maximum likelihood on numpy and scipy alone, from several starts, and says its
log-likelihood and whether it converged. The formulas and their sources stand with each model.
"""
