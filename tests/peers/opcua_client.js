// An HMI made with node-opcua: connects securely, browses, reads, watches, writes; tells one JSON object and ends.
// Arguments: endpoint, folder for its certificate, user, password, value to write.
"use strict";

const opcua = require("node-opcua");

const [endpoint, folder, user, password, wanted] = process.argv.slice(2);
const SPEED = "ns=1;s=pump.speed";
const TEMP = "ns=1;s=pump.bearing1/temp";

function shown(value) {
  return {
    value: typeof value.value.value === "object" && value.value.value !== null ? String(value.value.value) : value.value.value,
    type: opcua.DataType[value.value.dataType],
    status: value.statusCode.name,
    source: value.sourceTimestamp === null ? null : value.sourceTimestamp.getTime(),
  };
}

async function main() {
  const certificates = new opcua.OPCUACertificateManager({ rootFolder: folder, automaticallyAcceptUnknownCertificate: true });
  await certificates.initialize();
  const client = opcua.OPCUAClient.create({
    applicationName: "hmi",
    clientCertificateManager: certificates,
    securityMode: opcua.MessageSecurityMode.SignAndEncrypt,
    securityPolicy: opcua.SecurityPolicy.Basic256Sha256,
    endpointMustExist: false,
    connectionStrategy: { maxRetry: 0, initialDelay: 100 },
    transportTimeout: 10000,
  });
  await client.connect(endpoint);
  const session = await client.createSession({ type: opcua.UserTokenType.UserName, userName: user, password });
  const found = {};

  const objects = await session.browse("ObjectsFolder");
  found.folders = objects.references.map((each) => each.browseName.toString()).sort();
  const pump = await session.browse("ns=1;s=pump");
  found.pump = pump.references.map((each) => each.nodeId.toString()).sort();
  found.before = shown(await session.read({ nodeId: SPEED, attributeId: opcua.AttributeIds.Value }));
  found.temp = shown(await session.read({ nodeId: TEMP, attributeId: opcua.AttributeIds.Value }));
  const span = await session.readVariableValue("ns=1;s=pump.speed#EURange");
  found.range = [span.value.value.low, span.value.value.high];

  const watched = [];
  const subscription = await session.createSubscription2({
    requestedPublishingInterval: 50, requestedLifetimeCount: 100, requestedMaxKeepAliveCount: 10,
    maxNotificationsPerPublish: 100, publishingEnabled: true, priority: 1,
  });
  const item = await subscription.monitor(
    { nodeId: SPEED, attributeId: opcua.AttributeIds.Value },
    { samplingInterval: 50, discardOldest: true, queueSize: 10 },
    opcua.TimestampsToReturn.Both,
  );
  const news = (count) => new Promise((resolve, reject) => {
    const limit = setTimeout(() => reject(new Error(`no news ${count}`)), 15000);
    const look = () => (watched.length >= count ? (clearTimeout(limit), resolve()) : setTimeout(look, 20));
    look();
  });
  item.on("changed", (value) => watched.push(shown(value)));
  await news(1);
  found.first = watched[0];

  const write = async (value, dataType) => (await session.write({
    nodeId: SPEED, attributeId: opcua.AttributeIds.Value, value: { value: { dataType, value } },
  })).name;
  found.written = await write(Number(wanted), opcua.DataType.Double);
  await news(2);
  found.told = watched[watched.length - 1];
  found.after = shown(await session.read({ nodeId: SPEED, attributeId: opcua.AttributeIds.Value }));
  found.beyond = await write(1e6, opcua.DataType.Double);
  found.text = await write("fast", opcua.DataType.String);

  await subscription.terminate();
  await session.close();
  await client.disconnect();
  return found;
}

main().then(
  (found) => { console.log(JSON.stringify(found)); process.exit(0); },
  (error) => { console.log(JSON.stringify({ error: String(error.message || error) })); process.exit(1); },
);
