// Modbus TCP server on npm's modbus-serial for tests: 1,000 entries in each table, all zero unless written.
// Run: node modbus_server.js PORT. First output line: "listening PORT".
'use strict';
const { ServerTCP } = require('modbus-serial');

const ENTRIES = 1000;
const coils = new Array(ENTRIES).fill(false);
const registers = new Uint16Array(ENTRIES);
const port = Number(process.argv[2]);

const outside = (address) => address >= ENTRIES;
const refuse = () => { throw Object.assign(new Error('no such address'), { modbusErrorCode: 2 }); };
const vector = {
  getHoldingRegister: (address) => (outside(address) ? refuse() : registers[address]),
  getInputRegister: (address) => (outside(address) ? refuse() : registers[address]),
  getCoil: (address) => (outside(address) ? refuse() : coils[address]),
  getDiscreteInput: (address) => (outside(address) ? refuse() : coils[address]),
  setRegister: (address, value) => { if (outside(address)) refuse(); registers[address] = value; },
  setCoil: (address, value) => { if (outside(address)) refuse(); coils[address] = Boolean(value); },
};
const server = new ServerTCP(vector, { host: '127.0.0.1', port, unitID: 0 });
server.on('initialized', () => console.log(`listening ${port}`));
server.on('serverError', (error) => { console.error(error); process.exit(1); });
