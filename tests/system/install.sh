#!/usr/bin/env bash
# Install the Debian packages that the system tests need, where that is possible; else say what will be skipped.
set -uo pipefail
packages=(openssh-server openssh-client qemu-user-static libc6-arm64-cross libstdc++6-arm64-cross gcc-aarch64-linux-gnu
    libc6-dev-arm64-cross chromium chromium-driver gcc clang libclang-rt-14-dev slurm-wlm slurmdbd mariadb-server munge iproute2 busybox-static)

missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
    echo "Tests that need these Debian packages are skipped (no apt-get, or not root): ${missing[*]}"
    exit 0
fi
echo "Installing for the system tests: ${missing[*]}"
apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
    echo "Some of these could not be installed; tests that need them are skipped: ${missing[*]}"
exit 0
