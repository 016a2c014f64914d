#!/usr/bin/env bash
# Perl's Net::SMPP writes a text of 300 octets with a length of 44, and answers nothing but what the SMSC says.
#
# Seen with: Net::SMPP 1.19 (Debian 12's libnet-smpp-perl 1.19-3, unpacked, nothing is installed), 2026-11-28.
# One would guess: a short_message of more than 254 octets, for which SMPP 3.4 has no room, is an error, is cut into parts, or goes into message_payload.
# Behaviour: the length is one octet, so what doesn't fit is lost from it: 300 octets are written with sm_length 44, and all 300 behind it. A reader that
#   goes by the length has 44 of them and 256 that it must take for optional parameters. A text of exactly 256 octets has length 0.
# What it means: an SMSC that is lenient delivers the first 44 characters of an alert (or an empty one) and says status 0; a strict one refuses the PDU.
#   Cut texts oneself, or give message_payload.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; chmod 755 "$work"
. /etc/os-release; [ "${VERSION_ID:-}" = 12 ] || { echo "needs the packages of Debian 12"; exit 2; }
apt-get download -q libnet-smpp-perl=1.19-3 >/dev/null 2>&1
dpkg -x libnet-smpp-perl_*.deb root
cat > smsc.py <<'END'
"""An SMSC that tells of each submit_sm how long its text is said to be, and how long what is behind the length is."""
import socket, struct
place = socket.create_server(("127.0.0.1", 0))
print(place.getsockname()[1], flush=True)
connection = place.accept()[0]
stream = connection.makefile("rb")
while head := stream.read(16):
    length, command, _, number = struct.unpack(">4I", head)
    body = stream.read(length - 16)
    if command == 4:
        rest = body.split(b"15550101\0", 1)[1][3:].split(b"\0", 2)[2][4:]
        print(f"sm_length {rest[0]}, octets behind it {len(rest) - 1}", flush=True)
    if command in (4, 9):
        connection.sendall(struct.pack(">4I", 18, command | 1 << 31, 0, number) + b"1\0")
END
cat > ask.pl <<'END'
use strict; use warnings; use Net::SMPP;
my $smpp = Net::SMPP->new_transceiver('127.0.0.1', port => $ARGV[0], system_id => 'u', password => 'p', system_type => '') or die;
for my $length (160, 254, 256, 300) {
    my $answer = $smpp->submit_sm(source_addr => '1234', destination_addr => '15550101', short_message => 'a' x $length);
    print STDERR "refused\n" unless $answer && $answer->{status} == 0;
}
END
cat > expected <<'END'
sm_length 160, octets behind it 160
sm_length 254, octets behind it 254
sm_length 0, octets behind it 256
sm_length 44, octets behind it 300
END
mkfifo ready
python3 smsc.py > ready & exec 3< ready; read -r port <&3
{ PERL5LIB=root/usr/share/perl5 perl ask.pl "$port"; cat <&3; } | tee seen
diff expected seen && echo "as described"
