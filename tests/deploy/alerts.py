"""Whether Prometheus understands the alerts and the board of deploy/components/monitoring, and whether alerts fire when they should (alerts.yaml).

Called by check.sh with a folder to work in and promtool. That every metric exists, and every alert has its section in docs/alerts.md, is
checked by tests/signals.
"""

import json
import subprocess
import sys
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
MONITORING = HERE.parents[1] / "deploy" / "components" / "monitoring"
# What Grafana puts in place of its own variables.
RANGES = {"$__rate_interval": "5m", "$__range": "1h", "$__interval": "1m"}


def alerts():
    """The groups of rules, as a file of Prometheus has them."""
    rule = yaml.safe_load((MONITORING / "alerts.yaml").read_text())
    return {"groups": rule["spec"]["groups"]}


def board():
    """Every expression of the board as a rule."""
    panels = json.loads((MONITORING / "board.json").read_text())["panels"]
    rules = []
    for panel in panels:
        for target in panel.get("targets", []):
            expression = target["expr"]
            for variable, value in RANGES.items():
                expression = expression.replace(variable, value)
            rules.append({"record": f"panel_{panel['id']}:{target['refId']}", "expr": expression})
    return {"groups": [{"name": "board", "rules": rules}]}


def main(folder, promtool):
    folder = Path(folder)
    (folder / "rules.yaml").write_text(yaml.safe_dump(alerts(), sort_keys=False))
    (folder / "board.yaml").write_text(yaml.safe_dump(board(), sort_keys=False))
    (folder / "tests.yaml").write_text((HERE / "alerts.yaml").read_text())
    for command in (["check", "rules", "rules.yaml", "board.yaml"], ["test", "rules", "tests.yaml"]):
        done = subprocess.run([promtool, *command], cwd=folder, capture_output=True, text=True)
        if done.returncode != 0:
            print(f"promtool {' '.join(command)}:\n{done.stdout}{done.stderr}", file=sys.stderr)
            return 1
    count = sum(len(group["rules"]) for group in alerts()["groups"])
    tests = len(yaml.safe_load((HERE / "alerts.yaml").read_text())["tests"])
    print(f"deploy: {count} alerts, in {tests} cases, and {len(board()['groups'][0]['rules'])} expressions of the board are as they should be")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
