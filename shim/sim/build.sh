#!/bin/sh
# Builds the simulated driver: build.sh FOLDER makes libcuda.so.1 and
# libnvidia-ml.so.1 there. $CC and $CFLAGS are heard.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
mkdir -p "$1"
out=$(CDPATH='' cd -- "$1" && pwd)

# -Bsymbolic: calls within a library stay in it, also where a shadow has the
# same names. nodelete: threads and locks outlive a dlclose.
build() {
	name=$1
	shift
	# shellcheck disable=SC2086 # flags are words
	${CC:-cc} -std=c11 -Wall -Wextra -Werror -O2 -fPIC -fvisibility=hidden ${CFLAGS:-} -shared \
		-Wl,-Bsymbolic -Wl,-z,nodelete -Wl,-soname,"$name" -o "$out/$name.new" "$@" -lpthread
	mv "$out/$name.new" "$out/$name"
}

cd "$here"
shared="state.c devices.c timeline.c fault.c"
driver=
for file in *.c; do
	case "$file" in
	state.c | devices.c | timeline.c | fault.c | nvml.c | nvml_device.c) ;;
	*) driver="$driver $file" ;;
	esac
done
# shellcheck disable=SC2086
build libcuda.so.1 $shared $driver
# shellcheck disable=SC2086
build libnvidia-ml.so.1 $shared nvml.c nvml_device.c
