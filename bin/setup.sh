# shellcheck shell=bash
# Shared by the scripts beside it, which source it: a virtual environment in the checkout's .venv.
# Whatever is said here goes to stderr, so that stdout is the command's own.

root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
venv=$root/.venv

say() { printf 'zsms: %s\n' "$*" >&2; }

# need_debian_package PACKAGE CHECK...: installs PACKAGE unless the command CHECK succeeds already.
# Fails, and says what to do, where that cannot be done: not root, no apt-get, no network.
need_debian_package() {
    local package=$1 apt=(apt-get -qq -o Acquire::Retries=1 -o Acquire::http::Timeout=20)
    shift
    if "$@" >/dev/null 2>&1; then return; fi
    if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
        say "installing the Debian package $package"
        export DEBIAN_FRONTEND=noninteractive
        { "${apt[@]}" install -y "$package" ||
            { "${apt[@]}" update && "${apt[@]}" install -y "$package"; }; } >/dev/null 2>&1 || true
        hash -r
        if "$@" >/dev/null 2>&1; then return; fi
    fi
    say "missing the Debian package $package, or its like: as root, apt-get install $package"
    return 1
}

# Prints the newest suitable Python. A name on PATH may be an empty shim, so each is run.
find_python() {
    local name
    for name in python3.13 python3.12 python3.11 python3; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    say "no Python 3.11 or newer on PATH: install one (on Debian: apt-get install python3 python3-venv)"
    return 1
}

# What an installation depends on; kept in .venv, and compared the next time.
stamp() { printf '# %s\n' "$root" && cat "$root/pyproject.toml"; }

# setup_environment EXTRA,...: makes .venv if there is none that works, and installs the package
# in it, editable, with these extras, if that was not done or pyproject.toml has changed since.
setup_environment() {
    local extras=$1 python version done_file
    done_file=$venv/zsms-installed${extras:+-${extras//,/-}}
    if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        python=$(find_python) || return
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        need_debian_package "python$version-venv" "$python" -c 'import ensurepip, venv' || return
        say "making $venv with Python $version"
        "$python" -m venv --clear "$venv" >&2 || return
    elif stamp | cmp -s - "$done_file"; then
        return
    fi
    say "installing the package${extras:+ with $extras} in $venv"
    "$venv/bin/python" -m pip install -qq --disable-pip-version-check \
        --editable "$root${extras:+[$extras]}" >&2 || return
    stamp >"$done_file"
    stamp >"$venv/zsms-installed"
}
