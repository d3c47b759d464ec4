#!/usr/bin/env bash
# Installs the client programs that test/interop and test/tools run, the shells
# that load our completions, and a C compiler for the race detector. Does nothing when all of them are there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

has() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ]; }

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif has sudo; then
		sudo "$@"
	else
		echo "test-deps: neither root nor sudo to run: $*" >&2
		return 1
	fi
}

packages=()
has mosquitto_pub && has mosquitto_sub || packages+=(mosquitto-clients)
# mosquitto_passwd comes with the broker. The broker itself stays off.
has mosquitto_passwd && has mosquitto || packages+=(mosquitto)
# Debian's module belongs to Debian's interpreter, not to the first python3 in PATH.
/usr/bin/python3 -c 'import paho.mqtt.client' 2>/dev/null || packages+=(python3 python3-paho-mqtt)
has node || packages+=(nodejs)
has npm || packages+=(npm)
has openssl || packages+=(openssl)
has zsh || packages+=(zsh)
has fish || packages+=(fish)
[ -e /usr/share/bash-completion/bash_completion ] || packages+=(bash-completion)
has cc || packages+=(gcc libc6-dev)

# install_packages keeps Debian from starting the Mosquitto service: port 1883
# belongs to whoever runs the tests.
install_packages() {
	local policy=/usr/sbin/policy-rc.d ours=
	if [ ! -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
		as_root chmod 755 "$policy"
		ours=yes
	fi
	local status=0
	as_root apt-get update -qq &&
		as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" || status=$?
	if [ -n "$ours" ]; then
		as_root rm -f "$policy"
	fi
	return "$status"
}

if [ "${#packages[@]}" -gt 0 ]; then
	if has apt-get; then
		install_packages "${packages[@]}"
	else
		echo "test-deps: install what provides ${packages[*]} on Debian; until then the tests that need them are skipped." >&2
	fi
fi

# The copy of the lock file says what node_modules was made from.
js=test/interop/js
if has npm && ! cmp -s "$js/package-lock.json" "$js/node_modules/.installed-lock.json"; then
	(cd "$js" && npm ci --no-audit --no-fund --loglevel=error)
	cp "$js/package-lock.json" "$js/node_modules/.installed-lock.json"
fi
