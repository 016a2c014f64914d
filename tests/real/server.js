// npm's smpp as an SMSC: node server.js; prints its port, then a line of JSON for each submit_sm.
// Each number's last digit says the answer: 8 is throttled, 9 is an invalid number; 7 is closed without an answer, once.
const smpp = require('smpp');
let id = 1000, closed = false;
const server = smpp.createServer((session) => {
  session.on('error', () => {});
  session.on('bind_transceiver', (pdu) => session.send(pdu.response({
    system_id: 'node', command_status: pdu.password === 'secret' ? 0 : smpp.ESME_RINVPASWD})));
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('unbind', (pdu) => { console.log('{"unbind": true}'); session.send(pdu.response()); session.close(); });
  session.on('submit_sm', (pdu) => {
    const last = pdu.destination_addr.slice(-1);
    const content = pdu.message_payload || pdu.short_message;
    console.log(JSON.stringify({to: pdu.destination_addr, coding: pdu.data_coding, text: content.message.toString(),
      udh: Boolean(content.udh), receipt: pdu.registered_delivery}));
    if (last === '7' && !closed) { closed = true; session.destroy(); return; }
    if (last === '8') return session.send(pdu.response({command_status: smpp.ESME_RTHROTTLED}));
    if (last === '9') return session.send(pdu.response({command_status: smpp.ESME_RINVDSTADR}));
    const message_id = (id++).toString(16).toUpperCase();
    session.send(pdu.response({message_id}));
    if (pdu.registered_delivery) session.deliver_sm({esm_class: 4, source_addr: pdu.destination_addr,
      destination_addr: pdu.source_addr, receipted_message_id: message_id, message_state: last === '5' ? 5 : 2,
      short_message: ''});
  });
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
