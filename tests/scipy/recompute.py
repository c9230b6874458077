"""Recomputes the p-values of `ctx canary judge` with scipy.

Reads lines of JSON `{"kind", "baseline", "canary", "p", "exact"}` from standard input and prints,
as one JSON document, the greatest relative difference of exact and of asymptotic p-values.
"""

import json
import sys

from scipy import stats


def expected(case):
    baseline, canary = case["baseline"], case["canary"]
    if case["kind"] == "outcomes":
        failed, control = sum(canary), sum(baseline)
        table = [[failed, len(canary) - failed], [control, len(baseline) - control]]
        return stats.fisher_exact(table, alternative="greater").pvalue
    ties = len(set(baseline + canary)) < len(baseline) + len(canary)
    method = "exact" if case["exact"] else "asymptotic"
    if case["exact"] and ties:
        # scipy counts ties out one permutation at a time.
        method = stats.PermutationMethod(n_resamples=10**6)
    return stats.mannwhitneyu(canary, baseline, alternative="greater", method=method).pvalue


worst = {"exact": 0.0, "asymptotic": 0.0, "cases": 0}
for line in sys.stdin:
    case = json.loads(line)
    p = expected(case)
    off = abs(case["p"] - p) / max(p, 1e-300)
    kind = "exact" if case["exact"] else "asymptotic"
    worst[kind] = max(worst[kind], off)
    worst["cases"] += 1
print(json.dumps(worst))
