#!/usr/bin/env bash
# Perl's Net::SMPP throws away the receipts that arrive while it waits for an answer, and never acknowledges them.
#
# Seen with: Net::SMPP 1.19 (Debian 12's libnet-smpp-perl 1.19-3, unpacked, nothing is installed), 2026-11-28.
# One would guess: a transceiver in the default, synchronous mode keeps a deliver_sm that comes before the submit_sm_resp, and hands it out with the next
#   read_pdu(); what it can't handle it answers with an error.
# Behaviour: each call waits for its own answer and reads everything else away. Without a handler for the command a deliver_sm isn't kept, answered or
#   warned of; the SMSC waits for its deliver_sm_resp. What comes between two calls waits in the socket and is thrown away by the next.
# What it means: the busier the sender, the more receipts and replies ("STOP") are lost, nearly all of them under load, and the SMSC stops delivering or
#   hangs up. Pass handlers => {0x00000005 => ..., 0x00000015 => ...} to the constructor (it takes the place of the one for enquire_link, too), or use
#   async mode and read every PDU.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; chmod 755 "$work"
. /etc/os-release; [ "${VERSION_ID:-}" = 12 ] || { echo "needs the packages of Debian 12"; exit 2; }
apt-get download -q libnet-smpp-perl=1.19-3 >/dev/null 2>&1
dpkg -x libnet-smpp-perl_*.deb root
cat > smsc.py <<'END'
"""An SMSC that sends the receipt of each message before the answer to the next, and says in the end what was acknowledged."""
import socket, struct
place = socket.create_server(("127.0.0.1", 0))
print(place.getsockname()[1], flush=True)
connection = place.accept()[0]
stream, submits, sent, acknowledged = connection.makefile("rb"), 0, 0, 0
while head := stream.read(16):
    length, command, _, number = struct.unpack(">4I", head)
    stream.read(length - 16)
    acknowledged += command == 0x80000005
    if command == 4:
        submits += 1
        if submits > 1:
            text = b"id:%d sub:001 dlvrd:001 submit date:2611281200 done date:2611281201 stat:DELIVRD err:000 text:" % (submits - 1)
            body = b"\0\1\x0115550101\0\0\x001234\0\4\0\0\0\0\0\0\0\0" + bytes([len(text)]) + text
            connection.sendall(struct.pack(">4I", 16 + len(body), 5, 0, submits) + body)
            sent += 1
    if command in (4, 9):
        name = b"%d\0" % submits
        connection.sendall(struct.pack(">4I", 16 + len(name), command | 1 << 31, 0, number) + name)
    if command == 6:
        connection.sendall(struct.pack(">4I", 16, 0x80000006, 0, number))
print(f"messages {submits}, receipts sent {sent}, acknowledged {acknowledged}", flush=True)
END
cat > ask.pl <<'END'
use strict; use warnings; use Net::SMPP;
my $smpp = Net::SMPP->new_transceiver('127.0.0.1', port => $ARGV[0], system_id => 'u', password => 'p', system_type => '') or die;
my ($answers, $receipts) = (0, 0);
for (1 .. 5) {
    my $answer = $smpp->submit_sm(source_addr => '1234', destination_addr => '15550101', short_message => 'hi') or die;
    $answers += $answer->{status} == 0;
}
$smpp->unbind();
shutdown($smpp, 1);
while (my $pdu = $smpp->read_pdu()) { $receipts += $pdu->{cmd} == 5; }
print "answers $answers, receipts handed out $receipts\n";
END
cat > expected <<'END'
answers 5, receipts handed out 0
messages 5, receipts sent 4, acknowledged 0
END
mkfifo ready
python3 smsc.py > ready & exec 3< ready; read -r port <&3
{ PERL5LIB=root/usr/share/perl5 perl ask.pl "$port" 2>/dev/null; cat <&3; } | tee seen
diff expected seen && echo "as described"
