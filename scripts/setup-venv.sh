#!/usr/bin/env bash
# Prepares .venv for one purpose and does nothing when it is already so.
#
#   scripts/setup-venv.sh GROUP [GROUP …]     GROUP: run | test | lint | type | docs | browser | profile
#
# "run" is the package itself with the extras that `pyeino serve` needs; every other group adds the
# dependency group of that name from pyproject.toml. Exact versions come from constraints.txt.
# PYTHON=python3.12 picks the interpreter; without it the first fitting one on PATH is taken.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
venv=$root/.venv
stamps=$venv/.pyeino
pip_version=26.3
minimum="3, 11"
# An activated environment is left out of the search: the one activated may be the one being remade.
[ -z "${VIRTUAL_ENV:-}" ] || PATH=${PATH//"$VIRTUAL_ENV/bin:"/}

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

[ $# -gt 0 ] || fail "name what to set up: run, test, lint, type, docs, browser or profile"
for group in "$@"; do
    case $group in
        run | test | lint | type | docs | browser | profile) ;;
        *) fail "unknown group '$group': expected run, test, lint, type, docs, browser or profile" ;;
    esac
done

digest() { # what a stamp must equal: the inputs of the set-up and the place it was made for
    { printf '%s\n' "$root"; cat pyproject.toml constraints.txt scripts/setup-venv.sh; } | cksum
}
fingerprint=$(digest)

stamped() { # GROUP …: every one of them is set up from these very inputs
    local group
    [ -x "$venv/bin/python" ] && [ ! -e "$stamps/unfinished" ] || return 1
    for group in "$@"; do
        [ -f "$stamps/$group" ] && [ "$(<"$stamps/$group")" = "$fingerprint" ] || return 1
    done
}

version_of() { "$1" -c 'import platform; print(platform.python_version())' 2>/dev/null; }

# The quick way out: nothing was changed since the last time and no other interpreter is asked for.
wanted=
if [ -n "${PYTHON:-}" ]; then
    wanted=$(version_of "$PYTHON") || fail "PYTHON=$PYTHON cannot be run: name an interpreter that is installed, such as PYTHON=python3.12"
fi
same_python() { [ -z "$wanted" ] || [ "$wanted" = "$(version_of "$venv/bin/python")" ]; }
if stamped run "$@" && same_python; then exit 0; fi

fits() { "$1" -c "import sys; sys.exit(sys.version_info < ($minimum))" 2>/dev/null; }
has_venv() { "$1" -c 'import venv, ensurepip' 2>/dev/null; }

pick_python() { # prints the interpreter; one clear line when there is none
    local name found version short
    if [ -n "${PYTHON:-}" ]; then
        found=$PYTHON
    else
        for name in python3 python3.14 python3.13 python3.12 python3.11; do
            if fits "$name" && has_venv "$name"; then echo "$name"; return; fi
        done
        found=python3
    fi
    version=$(version_of "$found") ||
        fail "python3 is not installed: install Python 3.11 or newer (Debian, Ubuntu: apt install python3 python3-venv)"
    fits "$found" ||
        fail "$found is $version, but Python 3.11 or newer is needed: install one (Debian, Ubuntu: apt install python3.11 python3.11-venv) and name it with PYTHON=python3.11"
    short=${version%.*}
    has_venv "$found" ||
        fail "$found ($version) lacks venv: install it (Debian, Ubuntu: apt install python$short-venv)"
    echo "$found"
}

usable() { # the environment was made at this very place, and its pip still runs
    [ -x "$venv/bin/python" ] && [ ! -e "$stamps/unfinished" ] &&
        grep -qsF "$venv" "$venv/bin/activate" && same_python &&
        "$venv/bin/python" -m pip --version >/dev/null 2>&1
}

pip() { "$venv/bin/python" -m pip --quiet --no-input --disable-pip-version-check "$@"; }

install_group() {
    # --build-constraint holds the build back end to the same exact versions
    if [ "$1" = run ]; then
        pip install --constraint constraints.txt --build-constraint constraints.txt \
            --editable '.[all]'
    else
        pip install --constraint constraints.txt --group "$1"
    fi
}

set_up() {
    local group python
    stamped run "$@" && same_python && return # another set-up did it while we waited for the lock
    if ! usable; then
        python=$(pick_python)
        say "making .venv with $python ($(version_of "$python"))"
        rm -rf "$venv"
        "$python" -m venv "$venv" || fail "'$python -m venv .venv' failed: see above"
    fi
    mkdir -p "$stamps"
    : >"$stamps/unfinished" # stays behind when this is killed: the next set-up starts afresh
    case $("$venv/bin/python" -m pip --version) in
        "pip $pip_version "*) ;;
        *) pip install "pip==$pip_version" ;; # an older pip knows no --group
    esac
    for group in run "$@"; do
        stamped_alone "$group" && continue
        say "installing what '$group' needs (exact versions from constraints.txt)"
        install_group "$group" ||
            fail "pip could not install '$group': see above; run the same command again once it is mended"
        printf '%s\n' "$fingerprint" >"$stamps/$group"
    done
    rm -f "$stamps/unfinished"
}

stamped_alone() { [ -f "$stamps/$1" ] && [ "$(<"$stamps/$1")" = "$fingerprint" ]; }

# One set-up at a time. The kernel lets go of the lock when its holder ends, however it ends.
exec 9>"$root/.venv.lock"
if command -v flock >/dev/null 2>&1; then
    flock -n 9 || { say "waiting for another set-up of .venv"; flock 9; }
fi
set_up "$@"
