#!/usr/bin/env bash
# batchctl against OpenStack Swift's S3 API, with real presigned links: a node of one in namespaces of its own.
# Needs Debian or Ubuntu and root; installs Swift and memcached where they are missing, without starting them as services.
# Everything lives in a temporary folder, on a loopback of its own, and ends with this script.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)

if [ "${1:-}" != inside ]; then
  [ "$(id -u)" = 0 ] || { echo "run it as root: it needs namespaces and extended attributes" >&2; exit 2; }
  [ -f "$here/../dist/batchctl.js" ] || { echo "run the task bundle first" >&2; exit 2; }
  packages=()
  for package in swift-proxy swift-account swift-container swift-object memcached iproute2; do
    dpkg -s "$package" > /dev/null 2>&1 || packages+=("$package")
  done
  if [ "${#packages[@]}" -gt 0 ]; then
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y --no-install-recommends "${packages[@]}"
  fi
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  FOLDER=$folder unshare --mount --net --pid --fork --kill-child --mount-proc bash "$here/swift.sh" inside
  exit
fi

etc=$FOLDER/etc
mkdir -p "$etc" "$FOLDER/devices/d1" "$FOLDER/log"
ip link set lo up
mount --bind "$etc" /etc/swift

cat > "$etc/swift.conf" << END
[swift-hash]
swift_hash_path_prefix = one
swift_hash_path_suffix = two
[storage-policy:0]
name = only
default = yes
END

port=6200
for kind in account container object; do
  port=$((port + 1))
  cat > "$etc/$kind-server.conf" << END
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = $port
devices = $FOLDER/devices
mount_check = false
user = root
workers = 0
[pipeline:main]
pipeline = $kind-server
[app:$kind-server]
use = egg:swift#$kind
END
  builder=$etc/$kind.builder
  {
    swift-ring-builder "$builder" create 4 1 1
    swift-ring-builder "$builder" add "r1z1-127.0.0.1:$port/d1" 1
    swift-ring-builder "$builder" rebalance
  } > "$FOLDER/log/ring" || [ $? = 1 ] # 1 is a warning
  "swift-$kind-server" "$etc/$kind-server.conf" -v > "$FOLDER/log/$kind" 2>&1 &
done

cat > "$etc/proxy-server.conf" << END
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = 8080
user = root
workers = 0
[pipeline:main]
pipeline = catch_errors gatekeeper proxy-logging cache listing_formats s3api tempauth copy slo dlo proxy-logging proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:proxy-logging]
use = egg:swift#proxy_logging
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:11211
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
END
memcached -l 127.0.0.1 -u root > "$FOLDER/log/memcached" 2>&1 &
swift-proxy-server "$etc/proxy-server.conf" -v > "$FOLDER/log/proxy" 2>&1 &

if ! FOLDER=$FOLDER node "$here/swift.mjs"; then
  tail -n 5 "$FOLDER"/log/* | cut -c 1-200
  exit 1
fi
