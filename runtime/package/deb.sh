#!/bin/sh
# Makes the Debian package of a built binary. Usage: deb.sh BINARY VERSION OUT,
# in the tree; OUT is a folder. Prints the package's path.
set -eu
umask 022
binary=$1 version=$2 out=$3
here=runtime/package
arch=$(dpkg --print-architecture)
stage=$out/stage
deb=$out/tidemill_${version}_$arch.deb
doc=$stage/usr/share/doc/tidemill

rm -rf "$stage"
mkdir -p "$stage/DEBIAN" "$doc"
make -s install -o "$binary" BIN="$binary" DESTDIR="$stage" PREFIX=/usr
# The names that LuaJIT looks up are in the dynamic table, which stays.
strip --strip-unneeded "$stage/usr/bin/tidemill"
gzip -9n "$stage"/usr/share/man/man1/*.1
install -D -m 644 -t "$stage/usr/lib/systemd/system" "$here"/tidemill@.service
install -m 644 LICENSE "$doc/copyright"
cp -R examples README.md "$doc/"
find "$doc" -type d -exec chmod 755 {} + -o -type f -exec chmod 644 {} +
for script in postinst prerm postrm; do
  install -m 755 "$here/$script" "$stage/DEBIAN/$script"
done

# The libraries that the binary needs, as this system's packages name them.
# dpkg-shlibdeps wants a debian/control beside it.
mkdir -p "$out/shlibs/debian"
printf 'Source: tidemill\n' > "$out/shlibs/debian/control"
libraries=$(cd "$out/shlibs" &&
  dpkg-shlibdeps -O "../stage/usr/bin/tidemill" 2>/dev/null |
  sed -n 's/^shlibs:Depends=//p')
[ -n "$libraries" ] || {
  echo "deb: dpkg-shlibdeps finds no library of $binary: is dpkg-dev whole?" >&2
  exit 70
}
cat > "$stage/DEBIAN/control" <<CONTROL
Package: tidemill
Version: $version
Architecture: $arch
Maintainer: The Tidemill authors <tidemill@localhost>
Section: database
Priority: optional
Depends: $libraries, adduser
Recommends: lua-busted
Suggests: postgresql
Installed-Size: $(du -sk "$stage/usr" | cut -f1)
Description: projections of Kafka events in PostgreSQL, each exactly once
 Tidemill reads change events from Kafka, hands each batch to Lua scripts and
 commits the rows that they make to PostgreSQL, with its position, in one
 transaction.
CONTROL
dpkg-deb --build --root-owner-group "$stage" "$deb" >/dev/null
echo "$deb"
