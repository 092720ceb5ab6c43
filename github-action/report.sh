#!/bin/bash
# Tells GitHub what the run has found: outputs, annotations, summary, SARIF.
set -euo pipefail
# shellcheck source=github-action/lib.sh
. "$(dirname "$0")/lib.sh"

one_of annotations "$INPUT_ANNOTATIONS" true false
one_of summary "$INPUT_SUMMARY" true false
one_of sarif "$INPUT_SARIF" true false

folders=()
for folder in "$REPORT_DIR" "$REPORT_DIR"/retry-[0-9]*; do
  [[ ! -f $folder/report.json ]] || folders+=("$folder")
done
((${#folders[@]} > 0)) || exit 0 # the step before has said why

# The folders are named as a person would; their order is that of the runs, also of more than nine retries.
cd "$REPORT_DIR/.."
base=$(basename "$REPORT_DIR")
mapfile -t folders < <(printf '%s\n' "${folders[@]/#"$REPORT_DIR"/$base}" | sort -V)

export_as() {
  local format=$1
  shift
  "$PREFIX/bin/crashcrawler" export --format "$format" --source-root "$GITHUB_WORKSPACE" "$@" "${folders[@]}"
}

# paths NAME: of the file in all folders, one on each line.
paths() {
  local folder
  for folder in "${folders[@]}"; do
    printf '%s\n' "$PWD/$folder/$1"
  done
}

export_as counts >>"$GITHUB_OUTPUT"
set_output junit-path "$(paths junit.xml)"
set_output json-path "$(paths report.json)"
export_as markdown --output "$REPORT_DIR/summary.md"
set_output summary-path "$REPORT_DIR/summary.md"
if [[ $INPUT_SARIF == true ]]; then
  export_as sarif --output "$REPORT_DIR/crashcrawler.sarif"
  set_output sarif-path "$REPORT_DIR/crashcrawler.sarif"
fi
[[ $INPUT_SUMMARY == false ]] || cat "$REPORT_DIR/summary.md" >>"$GITHUB_STEP_SUMMARY"
[[ $INPUT_ANNOTATIONS == false ]] || export_as github-annotations
set_output artifact-name "crashcrawler-${GITHUB_JOB:-job}-$(od -An -N4 -tx1 /dev/urandom | tr -d ' \n')"
