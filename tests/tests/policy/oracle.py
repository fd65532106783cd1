"""Answers policy questions with the real oslo.policy: one JSON object per line in, `true` or `false` per line out.

A question holds `rules` (name to text or list), the `rule` that is asked, and the caller's `credentials`. The target is
empty. An exception denies, as an operator would see it.
"""

import collections
import collections.abc
import json
import logging
import sys
import warnings

# This release looks for it where newer Pythons no longer have it.
collections.MutableMapping = collections.abc.MutableMapping

from oslo_config import cfg  # noqa: E402
from oslo_policy import policy  # noqa: E402


def allows(enforcer, question):
    try:
        rules = policy.Rules.from_dict(question["rules"])
        enforcer.set_rules(rules, overwrite=True, use_conf=False)
        return bool(enforcer.enforce(question["rule"], {}, question["credentials"]))
    except Exception:
        return False


def main():
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    enforcer = policy.Enforcer(cfg.ConfigOpts(), use_conf=False)
    for line in sys.stdin:
        print(json.dumps(allows(enforcer, json.loads(line))), flush=True)


main()
