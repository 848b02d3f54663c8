// A scripted SMSC (node-smpp) for tests/e2e/smpp.rs and the tests of crates/providers/src/smpp.
//
// Prints events to standard output and reads commands from standard input, one JSON object per line. The first
// argument is JSON: { password, key, cert, id, receipts }. `id` is the hexadecimal id of the first message; with
// `receipts`, every message gets a receipt with this state.
'use strict';

const fs = require('fs');
const readline = require('readline');
const smpp = require('smpp');

const options = JSON.parse(process.argv[2] || '{}');
const report = (event) => process.stdout.write(JSON.stringify(event) + '\n');

const sessions = [];
let plan = [];
let quiet = false;
let refuse = 0;
let next = BigInt('0x' + (options.id || '4B2F10A7'));

function handleSubmit(session, number, pdu) {
  const text = pdu.short_message;
  const step = plan.shift() || {};
  session.unanswered = (session.unanswered || 0) + 1;
  report({
    event: 'submit',
    session: number,
    from: pdu.source_addr,
    from_ton: pdu.source_addr_ton,
    to: pdu.destination_addr,
    to_ton: pdu.dest_addr_ton,
    esm_class: pdu.esm_class,
    data_coding: pdu.data_coding,
    registered: pdu.registered_delivery,
    validity: pdu.validity_period ? pdu.validity_period.getTime() - Date.now() : null,
    text: text && text.message !== undefined ? text.message.toString() : String(text),
    udh: text && text.udh ? text.udh.map((part) => part.toString('hex')).join('') : null,
    unanswered: session.unanswered,
  });
  const respond = () => {
    session.unanswered -= step.silent ? 0 : 1;
    if (step.drop) {
      sessions.forEach((one) => one && one.destroy());
    } else if (step.unbind) {
      session.unbind();
    } else if (step.status) {
      session.send(pdu.response({ command_status: step.status }));
    } else if (!step.silent) {
      const id = step.id || (next++).toString(16).toUpperCase();
      session.send(pdu.response({ message_id: id }));
      if (options.receipts) {
        session.deliver_sm({
          esm_class: 4,
          source_addr: pdu.destination_addr,
          destination_addr: pdu.source_addr,
          short_message: `id:${id.toLowerCase()} sub:001 dlvrd:001 stat:${options.receipts} err:001 text:`,
        });
      }
    }
  };
  // Delayed responses arrive in a different order than the messages.
  setTimeout(respond, step.after || 0);
}

function handleSession(session) {
  const number = sessions.push(session) - 1;
  session.on('error', (error) => report({ event: 'error', session: number, why: String(error) }));
  session.on('close', () => report({ event: 'closed', session: number }));
  session.on('bind_transceiver', (pdu) => {
    const known = options.password === undefined || pdu.password === options.password;
    const status = refuse || (known ? 0 : smpp.ESME_RINVPASWD);
    report({
      event: 'bind',
      session: number,
      system_id: pdu.system_id,
      version: pdu.interface_version,
      status: status,
    });
    session.send(pdu.response({ command_status: status, system_id: 'centre' }));
  });
  session.on('submit_sm', (pdu) => handleSubmit(session, number, pdu));
  session.on('enquire_link', (pdu) => {
    report({ event: 'enquire', session: number });
    if (!quiet) {
      session.send(pdu.response());
    }
  });
  session.on('unbind', (pdu) => {
    report({ event: 'unbind', session: number });
    session.send(pdu.response());
    session.close();
  });
  for (const command of ['deliver_sm_resp', 'data_sm_resp', 'enquire_link_resp', 'unbind_resp', 'generic_nack']) {
    session.on(command, (pdu) =>
      report({ event: command, session: number, status: pdu.command_status, sequence: pdu.sequence_number }));
  }
}

function execute(command) {
  const session = sessions[command.session === undefined ? sessions.length - 1 : command.session];
  switch (command.do) {
    case 'plan': plan = plan.concat(command.steps); break;
    case 'quiet': quiet = command.on; break;
    case 'refuse': refuse = command.status; break;
    case 'deliver': session.deliver_sm(command.pdu); break;
    case 'data': session.data_sm(command.pdu); break;
    case 'raw': session.socket.write(Buffer.from(command.hex, 'hex')); break;
    case 'enquire': session.enquire_link(); break;
    case 'drop': sessions.forEach((one) => one && one.destroy()); break;
    case 'unbind': session.unbind(); break;
  }
  report({ event: 'done', what: command.do });
}

const server = smpp.createServer(
  options.key ? { key: fs.readFileSync(options.key), cert: fs.readFileSync(options.cert) } : {}, handleSession);
server.listen(0, '127.0.0.1', () => report({ event: 'listening', port: server.address().port }));
const commands = readline.createInterface({ input: process.stdin });
commands.on('line', (line) => execute(JSON.parse(line)));
// The process that started it has ended.
commands.on('close', () => process.exit(0));
