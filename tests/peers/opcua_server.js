// OPC UA server on npm's node-opcua for tests. Run: node opcua_server.js PORT FOLDER SEED
// Says "listening PORT" and then does what the lines of its input say: one JSON array each, answered by one line.
//   ["put", name, value, ms]  ["get", name]  ["sessions"]  ["subscriptions"]  ["index"]  ["alarm", true]  ["certificate"]
// SEED orders the namespaces; FOLDER keeps certificates. Users: operator with the password valve-7, and anybody.
'use strict';
const readline = require('readline');
const path = require('path');
const opcua = require('node-opcua');

const { Variant, DataType, VariantArrayType, StatusCodes } = opcua;
const [port, folder, seed] = [Number(process.argv[2]), process.argv[3], Number(process.argv[4] || 0)];
const LINE = 'http://plant.example/line';
const uris = [LINE, 'http://filler.example/a', 'http://filler.example/b', 'http://filler.example/c'];
for (let i = 0; i < seed % uris.length; i += 1) uris.push(uris.shift());

async function main() {
  const certificates = new opcua.OPCUACertificateManager({ rootFolder: path.join(folder, 'pki'), automaticallyAcceptUnknownCertificate: false });
  await certificates.initialize();
  const server = new opcua.OPCUAServer({
    port,
    resourcePath: '/plant',
    buildInfo: { productName: 'Plant', buildNumber: '1', buildDate: new Date(2026, 0, 1) },
    serverCertificateManager: certificates,
    allowAnonymous: true,
    userManager: { isValidUser: (name, password) => name === 'operator' && password === 'valve-7' },
    serverCapabilities: { maxSessions: 4, operationLimits: { maxNodesPerRead: 100, maxNodesPerBrowse: 50, maxMonitoredItemsPerCall: 64 } },
  });
  await server.initialize();
  const space = server.engine.addressSpace;
  for (const uri of uris) space.registerNamespace(uri);
  const own = space.getNamespace(LINE);
  const line = own.addObject({ organizedBy: space.rootFolder.objects, browseName: 'Line', nodeId: 's=Line', eventSourceOf: space.rootFolder.objects.server });
  const nodes = {};
  const add = (name, dataType, value, more = {}) => {
    nodes[name] = own.addVariable({ componentOf: line, browseName: name, nodeId: `s=Line.${name}`, dataType, minimumSamplingInterval: 10, accessLevel: 'CurrentRead | CurrentWrite', userAccessLevel: 'CurrentRead | CurrentWrite', ...more });
    nodes[name].setValueFromSource(new Variant({ dataType, value, ...more.variant }));
  };
  add('Speed', DataType.Double, 100.5);
  add('Count', DataType.Int32, 7);
  add('Small', DataType.Byte, 3);
  add('Run', DataType.Boolean, true);
  add('Name', DataType.String, 'press');
  add('Setpoint', DataType.Float, 20);
  add('Total', DataType.UInt64, [0, 12], { variant: { arrayType: VariantArrayType.Scalar } });
  add('Speeds', DataType.Double, new Float64Array([1, 2, 3]), { valueRank: 1, arrayDimensions: [3], variant: { arrayType: VariantArrayType.Array } });
  add('Label', DataType.LocalizedText, { text: 'Presse', locale: 'de' });
  for (let i = 0; i < 300; i += 1) add(`N${String(i).padStart(4, '0')}`, DataType.Double, i);

  add('Axis', DataType.ExtensionObject, new opcua.Range({ low: 1.5, high: 8 }), { dataType: 'Range', variant: { dataType: DataType.ExtensionObject } });

  const method = own.addMethod(line, { browseName: 'Add', nodeId: 's=Line.Add',
    inputArguments: [{ name: 'a', dataType: DataType.Double }, { name: 'b', dataType: DataType.Int32 }],
    outputArguments: [{ name: 'sum', dataType: DataType.Double }] });
  method.bindMethod((args, context, done) => done(null, { statusCode: StatusCodes.Good,
    outputArguments: [{ dataType: DataType.Double, value: args[0].value + args[1].value }] }));

  space.installAlarmsAndConditionsService();
  const alarm = own.instantiateOffNormalAlarm({ browseName: 'Overpressure', conditionName: 'Overpressure', conditionSource: line, componentOf: line, inputNode: nodes.Run, normalState: null, optionals: ['ConfirmedState'] }, {});
  alarm.setEnabledState(true);
  await server.start();
  console.log(`listening ${port}`);

  const commands = {
    put: (name, value, ms) => nodes[name].setValueFromSource(new Variant({ dataType: nodes[name].readValue().value.dataType, value, arrayType: nodes[name].readValue().value.arrayType }), StatusCodes.Good, ms ? new Date(ms) : new Date()),
    get: (name) => nodes[name].readValue().value.value,
    sessions: () => server.currentSessionCount,
    subscriptions: () => server.currentSubscriptionCount,
    index: () => space.getNamespaceIndex(LINE),
    alarm: (on) => {
      if (on) alarm.activateAlarm(); else alarm.deactivateAlarm();
      alarm.raiseNewCondition({ message: on ? 'too much pressure' : 'fine again', severity: 500, quality: StatusCodes.Good, retain: on });
    },
    remove: (name) => space.deleteNode(nodes[name]),
    add: (name, value) => add(name, DataType.Double, value),
    certificate: () => server.getCertificate().toString('hex'),
    trust: async (hex) => {
      await certificates.trustCertificate(Buffer.from(hex, 'hex'));
      return (await certificates.checkCertificate(Buffer.from(hex, 'hex'))).name;
    },
  };
  for await (const text of readline.createInterface({ input: process.stdin })) {
    const [what, ...rest] = JSON.parse(text);
    const answer = await commands[what](...rest);
    console.log(`= ${JSON.stringify(answer === undefined ? null : answer)}`);
  }
  process.exit(0);
}

main().catch((error) => { console.error(error); process.exit(1); });
