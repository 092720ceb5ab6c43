#!/bin/bash
# Runs the command under crashcrawler-run, as the user of the runner; only the probe runs as root, by `sudo -n`.
set -euo pipefail
# shellcheck source=github-action/lib.sh
. "$(dirname "$0")/lib.sh"

one_of fail-on "$INPUT_FAIL_ON" crash never
one_of require-capture "$INPUT_REQUIRE_CAPTURE" true false
one_of until-crash "$INPUT_UNTIL_CRASH" true false
[[ $INPUT_RETRIES =~ ^[0-9]{1,3}$ ]] || fail "the input retries is '$INPUT_RETRIES', not a number from 0 to 999"
[[ -n $INPUT_COMMAND ]] || fail "the input command is empty"
[[ -n $INPUT_OUTPUT_DIR ]] || fail "the input output-dir is empty"

run=$PREFIX/bin/crashcrawler-run
command=(bash --noprofile --norc -eo pipefail -c "$INPUT_COMMAND")
report_dir=$INPUT_OUTPUT_DIR
[[ $report_dir == /* ]] || report_dir=$PWD/$report_dir

# lines TEXT: its words, one on each line, into the array `words`.
lines() {
  words=()
  local line
  while IFS= read -r line; do
    [[ -z $line ]] || words+=("$line")
  done <<<"$1"
}

options=(--fail-on "$INPUT_FAIL_ON")
[[ -z $INPUT_TIMEOUT ]] || options+=(--timeout "$INPUT_TIMEOUT")
[[ -z $INPUT_REPEAT ]] || options+=(--repeat "$INPUT_REPEAT")
[[ $INPUT_UNTIL_CRASH == false ]] || options+=(--until-crash)
lines "$INPUT_AUGMENT_JUNIT"
for glob in "${words[@]}"; do
  options+=(--augment-junit "$glob")
done
lines "$INPUT_OPTIONS"
options+=("${words[@]}")
collector=()
for word in "${words[@]}"; do
  [[ $word != --collector=* ]] || collector=("$word")
done

# Whether anything can be captured here is asked with a command that does nothing.
why_not=$INSTALL_WHY_NOT
if [[ -z $why_not ]]; then
  scratch=$(mktemp -d "$RUNNER_TEMP/crashcrawler-check.XXXXXX")
  if said=$("$run" --output-dir "$scratch" "${collector[@]}" -- true 2>&1 >/dev/null); then
    why_not=
  else
    why_not=${said:-crashcrawler-run does not start}
  fi
  rm -rf "$scratch"
fi
if [[ -n $why_not && $INPUT_REQUIRE_CAPTURE == true ]]; then
  set_output captured false
  set_output exit-code 125
  fail "crashes cannot be captured here, so the command was not run (require-capture: true). $why_not"
elif [[ -n $why_not ]]; then
  say notice "crashes are not captured here, the command runs without (require-capture: false). $why_not"
  set_output captured false
  status=0
  "${command[@]}" || status=$?
  set_output exit-code "$status"
  exit "$status"
fi

# is_report FOLDER: one of ours, of an earlier step.
is_report() {
  "$PREFIX/bin/crashcrawler" export --format counts "$1" >/dev/null 2>&1
}
for folder in "$report_dir"/retry-[0-9]*; do
  ! is_report "$folder" || rm -rf -- "$folder"
done

# run_once FOLDER: sets `status`. GitHub signals this shell alone when a job is cancelled or its time is over; handed on, the command
# ends and there is a report. Job control, because without it bash would have the command ignore interrupts.
run_once() {
  set -m
  "$run" --output-dir "$1" "${options[@]}" -- "${command[@]}" &
  local child=$!
  trap 'cancelled=yes; kill -INT "$child" || true' INT
  trap 'cancelled=yes; kill -TERM "$child" || true' TERM
  while :; do
    status=0
    wait "$child" || status=$?
    kill -0 "$child" 2>/dev/null || break # else a trap has interrupted the wait
  done
  trap - INT TERM
  set +m
}

cancelled=no
set_output captured true
set_output report-dir "$report_dir" # now, so that there is a report also when the job is cancelled
folder=$report_dir
for ((try = 0;; )); do
  run_once "$folder"
  if ((status == 0 || try == INPUT_RETRIES)) || [[ $cancelled == yes ]] || ! is_report "$folder"; then
    break
  fi
  try=$((try + 1))
  folder=$report_dir/retry-$try
  say notice "the command ended with $status and is run again (retry $try of $INPUT_RETRIES)"
done
set_output exit-code "$status"
exit "$status"
