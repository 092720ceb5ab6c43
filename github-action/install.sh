#!/bin/bash
# Puts the programs into a folder of their own, the output `prefix`: from a tarball that is given, from that of a release, or
# built from the sources around this script. A tarball with a wrong sum ends the step and is never replaced by a build.
# Where the programs cannot run at all, `why-not` says why instead.
set -euo pipefail
# shellcheck source=github-action/lib.sh
. "$(dirname "$0")/lib.sh"

if [[ $(uname -s) != Linux || $(uname -m) != x86_64 ]]; then
  set_output why-not "it runs on Linux on x86-64 alone, this is $(uname -s) on $(uname -m)"
  exit 0
fi

source_folder=$(cd "$(dirname "$0")/.." && pwd)
prefix=$(mktemp -d "$RUNNER_TEMP/crashcrawler.XXXXXX")

# sum_in FILE NAME: what a file of sha256sum(1) says of NAME; nothing when it says nothing.
sum_in() {
  sed -n "s/^\([0-9a-f]\{64\}\) [ *]${2//./\\.}\$/\1/p" "$1"
}

# unpack TARBALL SUM
unpack() {
  [[ $2 =~ ^[0-9a-fA-F]{64}$ ]] || fail "$1 cannot be checked: '$2' is no SHA-256"
  local actual
  actual=$(sha256sum <"$1")
  actual=${actual%% *}
  [[ $actual == "$(tr A-F a-f <<<"$2")" ]] || fail "$1 is not what it should be: its SHA-256 is $actual, not $2"
  tar -xzf "$1" -C "$prefix" --strip-components=1 --no-same-owner
}

# fetch URL FILE
fetch() {
  curl --fail --silent --show-error --location --retry 3 --max-time 300 --output "$2" "$1"
}

# The tarball of the release; status 1 when it cannot be had.
install_release() {
  local repository=${ACTION_REPOSITORY:-${GITHUB_REPOSITORY:-}} name=crashcrawler-$1-linux-x86_64.tar.gz folder
  local url=${GITHUB_SERVER_URL:-https://github.com}/$repository/releases/download/v$1
  folder=$(mktemp -d "$RUNNER_TEMP/crashcrawler-download.XXXXXX")
  fetch "$url/$name" "$folder/$name" || return 1
  local sum=$INPUT_SHA256
  if [[ -z $sum ]]; then
    fetch "$url/SHA256SUMS" "$folder/SHA256SUMS" || fail "$url has no SHA256SUMS to check $name with"
    sum=$(sum_in "$folder/SHA256SUMS" "$name")
  fi
  unpack "$folder/$name" "$sum"
  rm -rf "$folder"
}

build_from_source() {
  echo '::group::Building CrashCrawler from source'
  local build=$RUNNER_TEMP/crashcrawler-build
  "$source_folder/docker/install-dependencies" --build
  cmake -S "$source_folder" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCRASHCRAWLER_TESTS=OFF
  cmake --build "$build"
  cmake --install "$build" --prefix "$prefix"
  echo '::endgroup::'
}

version=${INPUT_VERSION#v}
if [[ -z $version && -n $ACTION_REPOSITORY && $ACTION_REF =~ ^v[0-9]+(\.[0-9]+)*$ ]]; then
  version=$(sed -n 's/^project(crashcrawler VERSION \([0-9.]*\) .*/\1/p' "$source_folder/CMakeLists.txt")
fi

if [[ -n $INPUT_TARBALL ]]; then
  [[ -r $INPUT_TARBALL ]] || fail "there is no tarball $INPUT_TARBALL"
  sum=$INPUT_SHA256
  if [[ -z $sum ]]; then
    sums=$(dirname "$INPUT_TARBALL")/SHA256SUMS
    [[ -r $sums ]] || fail "$INPUT_TARBALL cannot be checked: neither the input sha256 nor $sums"
    sum=$(sum_in "$sums" "$(basename "$INPUT_TARBALL")")
  fi
  unpack "$INPUT_TARBALL" "$sum"
elif [[ -n $version ]]; then
  if ! install_release "$version"; then
    say notice "there is no release $version to download, so it is built from source, which takes some minutes"
    build_from_source
  fi
else
  build_from_source
fi

"$prefix/bin/crashcrawler-run" --version
set_output prefix "$prefix"
