// npm's smpp as a client: node client.js PORT PASSWORD < {"texts": [...], "receipts": n}
const smpp = require('smpp');
const [port, password] = process.argv.slice(2);
const asked = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const told = {statuses: {}, ids: [], receipts: []};
const session = smpp.connect({url: `smpp://127.0.0.1:${port}`}, () => {
  session.bind_transceiver({system_id: 'alerts', password}, (answer) => {
    if (answer.command_status) {
      console.log(JSON.stringify({bind: answer.command_status}));
      process.exit(0);
    }
    for (const text of asked.texts) {
      const long = text.length > 160 ? {message_payload: text} : {short_message: text};
      session.submit_sm({source_addr: '15550199', destination_addr: '15550100', registered_delivery: 1, ...long}, (pdu) => {
        told.statuses[text] = pdu.command_status;
        if (!pdu.command_status) told.ids.push(pdu.message_id);
        done();
      });
    }
  });
});
session.on('deliver_sm', (pdu) => {
  told.receipts.push(pdu.short_message.message.toString());
  session.send(pdu.response());
  done();
});
session.on('error', (error) => { console.error(error); process.exit(1); });
function done() {
  if (Object.keys(told.statuses).length < asked.texts.length || told.receipts.length < asked.receipts) return;
  session.unbind(() => session.close(() => { console.log(JSON.stringify(told)); process.exit(0); }));
}
