"""Experiments: design before the start, assignment, read-out at every look, and what the estimates were worth.

Outcome, Rule, power, sample_size, minimum_detectable_effect, expected_days     before the start
Arms, assign, check_layer                                                       who gets what
Experiment, Metric, Covariate, read_out                                         what it says so far
effect_index, rate                                                              clicks over impressions
ledger, trust                                                                   estimate against A/B result
"""
