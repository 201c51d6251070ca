#!/usr/bin/env bash
# The one front door: makes .venv on first use, then runs the command line (or the tests).
set -euo pipefail

self=${BASH_SOURCE[0]}
while [ -L "$self" ]; do
  target=$(readlink "$self")
  case $target in
    /*) self=$target ;;
    *) self=$(dirname "$self")/$target ;;
  esac
done
root=$(cd "$(dirname "$self")" && pwd -P)
venv=$root/.venv
python=$venv/bin/python
stamp=$venv/.set-up
extras=$venv/.extras

die() {
  printf 'error: %s\n' "$1" >&2
  exit "${2:-2}"
}

# What the environment was made from: it is made again when any of this changes.
fingerprint() {
  printf '%s\n' "$root" && cat "$root/pyproject.toml" "$root/constraints.txt"
}

find_python() {
  local candidate found=""
  for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11 python; do
    command -v "$candidate" >/dev/null 2>&1 || continue
    "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || {
      found=$candidate
      continue
    }
    printf '%s' "$candidate"
    return
  done
  if [ -n "$found" ]; then
    die "Python 3.11 or newer is needed and $found is older; install python3.11, or name one: PYTHON=/path/to/python3.11 $0"
  fi
  die "Python is missing; install Python 3.11 or newer (Debian, Ubuntu: apt install python3 python3-venv)"
}

install() {
  "$python" -m pip install --quiet --disable-pip-version-check -c "$root/constraints.txt" "$@" \
    >>"$log" 2>&1
}

# torch in its CPU build wherever that can be had: the default build for Linux brings CUDA.
install_torch() {
  local version
  version=$(sed -n 's/^torch==//p' "$root/constraints.txt")
  [ "$(uname -s)" = Linux ] || { install "torch==$version"; return; }
  install "torch==$version+cpu" && return
  install --retries 1 --extra-index-url https://download.pytorch.org/whl/cpu "torch==$version+cpu" && return
  printf 'no CPU build of torch to be had: taking the default one, which is large\n' >&2
  install "torch==$version"
}

set_up() {
  local base
  base=$(find_python) || exit 2
  "$base" -c 'import venv, ensurepip' >/dev/null 2>&1 ||
    die "the venv module of $base is missing; install it (Debian, Ubuntu: apt install python3-venv)"
  log=$root/.venv-setup.log
  : 2>/dev/null >"$log" || die "no permission to write in $root; copy the project to a directory of yours"
  if [ "$(head -n 1 "$stamp" 2>/dev/null)" = "$root" ] && "$python" -c '' 2>/dev/null; then
    printf 'updating %s\n' "$venv" >&2
  else
    printf 'setting up %s, once; this takes a few minutes\n' "$venv" >&2
    rm -rf "$venv"
    "$base" -m venv "$venv" >>"$log" 2>&1 || die "python -m venv failed, see $log" 1
  fi
  if ! { install_torch && install -e "$root[dev$(cat "$extras" 2>/dev/null)]"; }; then
    tail -n 5 "$log" >&2
    die "set-up failed, see $log; is the network there? Run the command again to continue" 1
  fi
  fingerprint >"$stamp"
  rm -f "$log"
}

ensure_set_up() {
  if [ -f "$stamp" ] && [ "$(fingerprint)" = "$(cat "$stamp")" ]; then
    return
  fi
  # Two first calls at once: the second waits for the first and finds its work done.
  if command -v flock >/dev/null 2>&1; then
    exec 9>"$root/.venv-lock" || die "no permission to write in $root"
    flock 9
    [ -f "$stamp" ] && [ "$(fingerprint)" = "$(cat "$stamp")" ] || set_up
    exec 9>&-
  else
    set_up
  fi
}

# Optional extras of pyproject.toml, kept when the environment is refreshed: setup NAME...
add_extras() {
  local name known
  known=$(sed -n '/^\[project.optional-dependencies\]/,/^\[project.urls\]/s/^\([a-z]*\) = \[.*/\1/p' "$root/pyproject.toml" | grep -vx dev | paste -sd ' ' -)
  case $1 in
    -h | --help)
      printf 'usage: ./run_federation.sh setup [NAME ...]\n\nMake or refresh .venv; with names, add optional extras: %s\n' "$known"
      exit 0
      ;;
  esac
  for name in "$@"; do
    case " $known " in *" $name "*) ;; *) die "setup: unknown extra '$name'; there are: $known" ;; esac
  done
  for name in "$@"; do
    grep -qs ",$name\b" "$extras" || printf ',%s' "$name" >>"$extras"
  done
  log=$root/.venv-setup.log
  : 2>/dev/null >"$log" || die "no permission to write in $root"
  if ! install -e "$root[dev$(cat "$extras")]"; then
    tail -n 5 "$log" >&2
    die "installing $* failed, see $log; is the network there?" 1
  fi
  rm -f "$log"
}

ensure_set_up
export FLWR_TELEMETRY_ENABLED=0 FLWR_DISABLE_UPDATE_CHECK=1
export FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION=1 RAY_USAGE_STATS_ENABLED=0

case ${1:-} in
  setup)
    shift
    [ $# -eq 0 ] || add_extras "$@"
    exit 0
    ;;
  test)
    shift
    cd "$root"
    if [ "${1:-}" = --fast ]; then
      shift
      exec "$python" -P -m pytest -m "not slow and not ray" "$@"
    fi
    exec "$python" -P -m pytest "$@"
    ;;
  *)
    # -P: a folder named datasets or server where the user stands must not be imported.
    exec "$python" -P -m federation.cli "$@"
    ;;
esac
