#!/usr/bin/env bash
# Celery 5.7.0 and APScheduler 3.11.3 run `0 0 13 * 5` on days that match both 13 and 5; cron does on days that match either.
#
# POSIX, crontab, "Input Files": if both the day of the month and the day of the week are restricted, a day that matches
# either counts. Celery's `crontab.from_string` and APScheduler's `CronTrigger.from_crontab`, which refers to Wikipedia's page
# on cron for its format, want both. A job meant for every week then runs once or twice a year. APScheduler also counts the
# weekdays from Monday as 0, of which its page warns: its 5 is a Saturday, and `fri` is what it should say. croniter 7.0.0,
# cron-parser 5.10.6 for Node and robfig/cron 3.0.1 for Go do as cron does.
#
# Output seen 2026-11-30, the first three days of `0 0 13 * 5` after 1 August 2027:
#   Celery Fri 2027-08-13, Fri 2028-10-13, Fri 2029-04-13
#   APScheduler Sat 2027-11-13, Sat 2028-05-13, Sat 2029-01-13
#   croniter Fri 2027-08-06, Fri 2027-08-13, Fri 2027-08-20
#   cron-parser Fri 2027-08-06, Fri 2027-08-13, Fri 2027-08-20
#   robfig/cron Fri 2027-08-06, Fri 2027-08-13, Fri 2027-08-20
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check celery==5.7.0 apscheduler==3.11.3 croniter==7.0.0
npm install --silent --no-audit --no-fund cron-parser@5.10.6 >/dev/null
cat >show.py <<'PYTHON'
from datetime import datetime, timedelta, timezone

from apscheduler.triggers.cron import CronTrigger
from celery.schedules import crontab
from croniter import croniter

LINE = "0 0 13 * 5"
START = datetime(2027, 8, 1, tzinfo=timezone.utc)


def celery(after):
    line = crontab.from_string(LINE)
    line.nowfun = lambda: after
    last, wait, _ = line.remaining_delta(after, tz=timezone.utc)
    return last + wait


def apscheduler(after):
    return CronTrigger.from_crontab(LINE, timezone=timezone.utc).get_next_fire_time(None, after + timedelta(seconds=1))


def croniter_(after):
    return croniter(LINE, after).get_next(datetime)


for name, following in (("Celery", celery), ("APScheduler", apscheduler), ("croniter", croniter_)):
    day, days = START, []
    for _ in range(3):
        day = following(day)
        days.append(f"{day:%a %Y-%m-%d}")
    print(name, ", ".join(days))
PYTHON
cat >show.mjs <<'JAVASCRIPT'
import { CronExpressionParser } from 'cron-parser'

const line = CronExpressionParser.parse('0 0 13 * 5', { currentDate: '2027-08-01T00:00:00Z', tz: 'UTC' })
const day = () => line.next().toDate()
const days = [day(), day(), day()].map((at) => `${at.toUTCString().slice(0, 3)} ${at.toISOString().slice(0, 10)}`)
console.log('cron-parser', days.join(', '))
JAVASCRIPT
cat >show.go <<'GO'
package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

func main() {
	line, err := cron.ParseStandard("0 0 13 * 5")
	if err != nil {
		panic(err)
	}
	day, days := time.Date(2027, 8, 1, 0, 0, 0, 0, time.UTC), []string{}
	for range 3 {
		day = line.Next(day)
		days = append(days, day.Format("Mon 2006-01-02"))
	}
	fmt.Println("robfig/cron", strings.Join(days, ", "))
}
GO
export GOFLAGS=-mod=mod GOPATH="$folder/go"
go mod init show >/dev/null 2>&1
go get github.com/robfig/cron/v3@v3.0.1 >/dev/null 2>&1
{
  venv/bin/python show.py
  node show.mjs
  go run show.go
} | tee seen
diff seen - <<'SEEN'
Celery Fri 2027-08-13, Fri 2028-10-13, Fri 2029-04-13
APScheduler Sat 2027-11-13, Sat 2028-05-13, Sat 2029-01-13
croniter Fri 2027-08-06, Fri 2027-08-13, Fri 2027-08-20
cron-parser Fri 2027-08-06, Fri 2027-08-13, Fri 2027-08-20
robfig/cron Fri 2027-08-06, Fri 2027-08-13, Fri 2027-08-20
SEEN
