// A device on node's own HTTP server: `node http_server.js PORT`. GET /status, POST /set, /slow, /chunks, /cut.
"use strict";
const http = require("http");

let setpoint = 20.5;

const server = http.createServer((request, response) => {
  const json = (value) => {
    const body = JSON.stringify(value);
    response.writeHead(200, { "Content-Type": "application/json; charset=utf-8", "Content-Length": Buffer.byteLength(body) });
    response.end(body);
  };
  if (request.url === "/status") {
    json({ setpoint, text: "Außen 21 °C", time: new Date(1790000000123).toISOString(), keep: request.headers.connection });
  } else if (request.url === "/chunks") {
    response.write('{"setpoint"');
    setTimeout(() => response.end(`: ${setpoint}}`), 20);
  } else if (request.url === "/cut") {
    response.writeHead(200, { "Content-Length": 100 });
    response.write("half", () => request.socket.destroy());
  } else if (request.url === "/set" && request.method === "POST") {
    let body = "";
    request.on("data", (data) => (body += data));
    request.on("end", () => {
      setpoint = JSON.parse(body).setpoint;
      response.writeHead(204);
      response.end();
    });
  } else if (request.url !== "/slow") {
    response.writeHead(404);
    response.end();
  }
});
setInterval(() => server.closeIdleConnections(), 100); // it ends kept connections while nobody looks
server.listen(Number(process.argv[2]), "127.0.0.1", () => console.log(`listening ${process.argv[2]}`));
