# shellcheck shell=bash
# What the scripts of the action share.

# say error|warning|notice TEXT: an annotation without a place.
say() {
  local text=${2//'%'/%25}
  text=${text//$'\r'/%0D}
  printf '::%s title=CrashCrawler::%s\n' "$1" "${text//$'\n'/%0A}"
}

# fail TEXT: an error that ends the step, with the status of crashcrawler-run for its own failures.
fail() {
  say error "$1"
  exit 125
}

# set_output NAME VALUE: of the step. The value may have lines; none of them can end it, because nobody knows the last one.
set_output() {
  local end
  end=end-$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  printf '%s<<%s\n%s\n%s\n' "$1" "$end" "$2" "$end" >>"$GITHUB_OUTPUT"
}

# one_of NAME VALUE WORD...: fails unless the value of the input is one of the words.
one_of() {
  local name=$1 value=$2 word
  shift 2
  for word in "$@"; do
    [[ $value != "$word" ]] || return 0
  done
  fail "the input $name is '$value', not one of: $*"
}
