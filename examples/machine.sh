#!/bin/sh
# Makes a machine to try things on: a folder in the form of /sys, with a network card of one physical function and three
# virtual ones. Usage: sh examples/machine.sh DIR, then --sysfs-root DIR.
set -eu
root=${1:?usage: machine.sh DIR}
port=devices/pci0000:3a/0000:3a:00.0
mkdir -p "$root/bus/pci/devices"

pci_function() {
    folder=$root/$port/$1
    mkdir -p "$folder"
    echo 0x15b3 > "$folder/vendor"
    echo "0x$2" > "$folder/device"
    echo 0x020000 > "$folder/class"
    echo 0 > "$folder/numa_node"
    ln -sfn "../../../$port/$1" "$root/bus/pci/devices/$1"
}

pci_function 0000:3b:00.0 101d
echo 3 > "$root/$port/0000:3b:00.0/sriov_totalvfs"
echo 3 > "$root/$port/0000:3b:00.0/sriov_numvfs"
for number in 2 3 4; do
    pci_function "0000:3b:00.$number" 101e
    ln -sfn ../0000:3b:00.0 "$root/$port/0000:3b:00.$number/physfn"
    ln -sfn "../0000:3b:00.$number" "$root/$port/0000:3b:00.0/virtfn$((number - 2))"
done
