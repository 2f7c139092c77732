# Run as the first process of a host's own mount, network and pid namespaces; all of it ends with this process.
# $1 root (read only), $2 folder of this host, $3 name
set -eu
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/merged"
ip link set lo up
read -r _ # the link is in place
exec systemd-nspawn --quiet --directory="$2/merged" --register=no --keep-unit --machine="$3" --boot \
    --console=pipe --link-journal=no --resolv-conf=off --timezone=off
