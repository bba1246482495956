#!/usr/bin/env bash
# debfetch.sh SUITE DIR PACKAGE...
#
# Unpacks packages of another Debian suite, with all the libraries they need (libc too), under DIR/root. Nothing is installed,
# apt's own state is not touched and root is not needed. Mirror and keyring are those of the machine's apt configuration,
# signatures are checked.
# Environment: DEBFETCH_SKIP, a regular expression of package names to leave out of the dependency closure.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"
[ $# -ge 3 ] || {
  usage "$0"
  exit 2
}
suite=$1 dir=$2
shift 2
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

# What maintainer scripts need and a server started by hand does not. (libedit's and ncurses' libraries stay: the clients load them.)
skip=(perl 'perl-.*' 'libperl.*' 'lib.*-perl' debconf 'debconf-.*' cdebconf 'libdebconf.*' 'libdb5.*' 'libgdbm.*' 'libtext.*' 'liblocale.*'
  adduser passwd 'login.*' 'libpam-.*' libpam0g 'libaudit.*' 'libcap-ng.*' 'libsemanage.*' 'libsepol.*'
  lsb-base init-system-helpers sysvinit-utils 'systemd.*' 'libsystemd-shared' mount util-linux coreutils dpkg tar sed grep bash 'base-.*' netbase mawk gawk libmpfr.\* 'libsigsegv.*'
  psmisc procps 'libproc2.*' socat rsync lsof libpopt0 libwrap0 iproute2 libmnl0 'libxtables.*' 'libbpf.*' 'libelf.*' logrotate 'cron.*' bsd-mailx
  galera-4 mysql-common mariadb-common openssl-provider-legacy 'gcc-.*-base' libcrypt-dev '.*-doc')
skip_re=${DEBFETCH_SKIP-^($(
  IFS='|'
  say "${skip[*]}"
))$}

# debian_archive: prints "deb [signed-by=KEYRING] URI" of the first main (not security) Debian archive in the apt configuration.
debian_archive() {
  local suites='bookworm|trixie|forky|bullseye|sid|stable|testing|unstable' f stanza uri key
  for f in /etc/apt/sources.list.d/*.sources; do
    [ -f "$f" ] || continue
    stanza=$(awk -v RS= -v suites="$suites" '!/-security/ && $0 ~ "(^|\n)Suites:[^\n]*(" suites ")" {print; exit}' "$f")
    uri=$(sed -n 's/^URIs:[ \t]*\([^ \t]*\).*/\1/p' <<<"$stanza")
    key=$(sed -n 's/^Signed-By:[ \t]*\(\/[^ \t]*\).*/\1/p' <<<"$stanza")
    [ -z "$uri" ] || { say "deb ${key:+[signed-by=$key] }$uri" && return; }
  done
  for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ -f "$f" ] || continue
    uri=$(sed -n -E "/-security/d; s/^deb[ \t]+((\[[^]]*\][ \t]+)?[^ \t]+)[ \t]+($suites)[ \t].*/\1/p" "$f" | head -1)
    [ -z "$uri" ] || { say "deb $uri" && return; }
  done
  die 'there is no Debian archive in the apt configuration of this machine'
}

state=$dir/apt
rm -rf "$state"
mkdir -p "$state"/{lists/partial,cache/archives/partial}
archive=$(debian_archive)
say "$archive $suite main" >"$state/sources.list"
: >"$state/status" # nothing is installed, so that the closure has everything
apt=(-q -o "Dir::Etc::sourcelist=$state/sources.list" -o Dir::Etc::sourceparts=/nonexistent
  -o "Dir::State=$state" -o "Dir::State::lists=$state/lists" -o "Dir::State::status=$state/status"
  -o "Dir::Cache=$state/cache" -o "Dir::Cache::archives=$state/cache/archives"
  -o Acquire::Languages=none -o Acquire::Retries=3 -o Acquire::Check-Valid-Until=false
  -o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false
  -o APT::Install-Recommends=false -o APT::Sandbox::User= -o APT::Update::Post-Invoke= -o DPkg::Post-Invoke= -o Debug::NoLocking=1)

# step NAME COMMAND...: runs it with its output in a log, which is shown if it fails.
step() {
  local name=$1
  shift
  "$@" >"$state/$name.log" 2>&1 || {
    tail -20 "$state/$name.log" >&2
    die "$name of $suite failed"
  }
}
step index apt-get "${apt[@]}" update
step closure apt-get "${apt[@]}" -s install "$@"
packages=()
while read -r p; do
  [[ -n $skip_re && ${p%%:*} =~ $skip_re ]] || packages+=("$p")
done < <(sed -n 's/^Inst \([^ ]*\) .*/\1/p' "$state/closure.log")
cd "$state/cache/archives"
step download apt-get "${apt[@]}" download "${packages[@]}"

# Some packages still ship /lib/..., others /usr/lib/...: links as in an installed system bring them together.
mkdir -p "$dir"/root/usr/{lib,bin,sbin,lib64}
for l in lib bin sbin lib64; do
  [ -e "$dir/root/$l" ] || ln -s "usr/$l" "$dir/root/$l"
done
for deb in ./*.deb; do
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$dir/root" --keep-directory-symlink --no-same-owner \
    --exclude='./usr/share/doc*' --exclude='./usr/share/man*' --exclude='./usr/share/locale*' --exclude='./usr/lib/*/gconv*'
done
cd "$dir"
rm -rf "$state"
say "$suite: ${#packages[@]} packages in $dir/root, $(du -sh root | cut -f1)"
