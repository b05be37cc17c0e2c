#!/usr/bin/env bash
# Runs a command as the image would: as uid 10001 without any capability, on a root that cannot be
# written, with /tmp as the only place to write to. For root; called by test_deploy_process.py.
#
#   namespace.sh SOURCES SITE_PACKAGES CONFIGS COMMAND …      (in a mount namespace of its own)
set -euo pipefail
sources=$1 site=$2 configs=$3
shift 3
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir /mnt/src /mnt/site /mnt/configs
mount --bind "$sources" /mnt/src
mount --bind "$site" /mnt/site
mount --bind "$configs" /mnt/configs
mount -t tmpfs -o mode=1777 tmpfs /tmp
for place in /mnt/src /mnt/site /mnt/configs; do mount -o remount,bind,ro "$place"; done
mount -o remount,ro /mnt
mount -o remount,bind,ro /
cd /mnt
# Even root can write nowhere: what follows is no accident of file modes.
for place in /mnt /mnt/src /mnt/site /mnt/configs /etc /usr; do
    if touch "$place/.written" 2>/dev/null; then echo "$place can be written" >&2; exit 99; fi
done
export PYTHONPATH=/mnt/src:/mnt/site HOME=/mnt PYTHONDONTWRITEBYTECODE=1
exec setpriv --reuid 10001 --regid 10001 --clear-groups --no-new-privs \
    --inh-caps=-all --bounding-set=-all "$@"
