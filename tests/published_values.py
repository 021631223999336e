"""Published results the formulas are held to, each with its source; more digits stand in ../shared/published.json."""

# Fader, Hardie & Lee (2005), "Counting Your Customers" the Easy Way, Marketing Science 24(2), table 2 and the
# spreadsheet of brucehardie.com/notes/004; CDNOW sample of 2,357 customers, weeks, calibration to 1997-09-30.
CDNOW_BG_NBD = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
CDNOW_BG_NBD_SPREADSHEET = {"r": 0.2425982, "alpha": 4.4136842, "a": 0.7929899, "b": 2.4261667}  # same, all digits
CDNOW_BG_NBD_LOG_LIKELIHOOD = -9582.4
CDNOW_BG_NBD_ERRORS = {"r": 0.012557, "alpha": 0.378221, "a": 0.185719, "b": 0.705345}  # lifetimes, Quickstart
BG_NBD_ARRIVALS = {1 / 7: 0.0078, 1: 0.0532, 3: 0.1506, 223 / 7: 1.0405, 32: 1.0437, 78: 1.8576}  # E[X(t)], t in weeks
BG_NBD_EXPECTED_39 = (2, 30.43, 38.86, 1.226)  # x, t_x, T, occasions in the next 39 weeks
# BTYD (CRAN 2.4.3) walkthrough, customer 1516 and the increasing-frequency paradox
CUSTOMER_1516 = (26, 216 / 7, 31)
CUSTOMER_1516_BG_NBD = {"occasions_52": 25.75659, "p_alive": 0.9688523}
CUSTOMER_1516_PARETO_NBD = {"occasions_52": 25.45647, "p_alive": 0.997874}
PARADOX_BG_NBD = {10: 0.3474606, 15: 0.04283391, 20: 0.004158973, 25: 0.0003583685}  # t_x 20, T 39, next 52 weeks

# Fader, Hardie & Lee (2005), same data; standard errors from CLVTools' tests
CDNOW_PARETO_NBD = {"r": 0.553, "alpha": 10.578, "s": 0.606, "beta": 11.669}
CDNOW_PARETO_NBD_LOG_LIKELIHOOD = -9594.976
CDNOW_PARETO_NBD_ERRORS = {"r": 0.0476264, "alpha": 0.8427222, "s": 0.1872594, "beta": 6.2105448}

# Batislam, Denizel & Filiztekin's model as BTYDplus fits it (lifetimes' test-suite), same data
CDNOW_MBG_NBD = {"r": 0.525, "alpha": 6.183, "a": 0.891, "b": 1.614}
CDNOW_MBG_NBD_LOG_LIKELIHOOD = -9582.136  # recomputed by two programs

# Fader & Hardie (2013), note 025: mean spend of 946 repeat buyers of the sample, first purchase left out
CDNOW_GAMMA_GAMMA = {"p": 6.25, "q": 3.74, "v": 15.44}
CDNOW_GAMMA_GAMMA_LOG_LIKELIHOOD = -4055.9177
CDNOW_SPEND_FIRST_10 = [24.65, 18.91, 35.17, 35.17, 35.17, 71.46, 18.91, 35.17, 27.28, 35.17]

# Fader & Hardie (2007), "How to Project Customer Retention", J. Interactive Marketing 21(1), table 1: per cent of 1,000
# customers left after each year; the model is fitted to the first seven
SBG_REGULAR = [100, 63.1, 46.8, 38.2, 32.6, 28.9, 26.2, 24.1, 22.3, 20.7, 19.4, 18.3, 17.3]
SBG_HIGH_END = [100, 86.9, 74.3, 65.3, 59.3, 55.1, 51.7, 49.1, 46.8, 44.5, 42.7, 40.9, 39.4]
SBG_PARAMETERS = {"regular": (0.704, 1.182), "high end": (0.668, 3.806)}

# Fader & Hardie (2010), "Customer-Base Valuation in a Contractual Setting", table 3: discounted expected residual
# lifetime of a customer renewed 1..5 times, 10 % a year
DERL_CASES = {(3.8, 15.2): [3.31, 3.45, 3.59, 3.72, 3.84], (0.067, 0.267): [7.68, 9.46, 9.86, 10.06, 10.19]}
