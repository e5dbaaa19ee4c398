// The peer of the node rows: peer.js client|server NAME=VALUE...
'use strict';
const fs = require('fs');
const net = require('net');
const tls = require('tls');

const options = Object.fromEntries(process.argv.slice(3).map((word) => {
  const at = word.indexOf('=');
  return [word.slice(0, at), word.slice(at + 1)];
}));

function fail(error) {
  console.error(`failed: ${error.code} ${error.message}`);
  process.exit(1);
}

function connect(data, session, done) {
  let back = Buffer.alloc(0);
  let latest = null;
  const version = `TLSv${options.tls}`;
  const socket = tls.connect({
    host: '127.0.0.1',
    port: Number(options.port),
    servername: net.isIP(options.host) ? '' : options.host,
    ca: fs.readFileSync(options.ca),
    cert: options.cert && fs.readFileSync(options.cert),
    key: options.key && fs.readFileSync(options.key),
    ALPNProtocols: options.alpn && [options.alpn],
    minVersion: version,
    maxVersion: version,
    session,
  }, () => {
    console.log(socket.getProtocol(), socket.alpnProtocol, socket.isSessionReused());
    socket.write(data);
  });
  socket.on('session', (ticket) => { latest = ticket; });
  socket.on('data', (part) => {
    back = Buffer.concat([back, part]);
    if (back.length >= data.length) socket.end();
  });
  socket.on('error', fail);
  socket.on('close', () => {
    if (back.length < data.length) fail(new Error('the server closed'));
    done(back, latest);
  });
}

function runClient() {
  const data = fs.readFileSync(options.send);
  const again = (times, session) => connect(data, session, (back, latest) => {
    if (times > 1) again(times - 1, latest);
    else fs.writeFileSync(options.got, back);
  });
  again(Number(options.times), undefined);
}

function identity(name) {
  return {
    cert: fs.readFileSync(`${options.pki}/${name}.pem`),
    key: fs.readFileSync(`${options.pki}/${name}.key`),
  };
}

function runServer() {
  const server = tls.createServer({
    ...identity(options.cert),
    ca: options.ca && fs.readFileSync(options.ca),
    requestCert: Boolean(options.ca),
    rejectUnauthorized: true,
    ALPNProtocols: options.alpn && options.alpn.split(','),
  }, (socket) => {
    console.log('client', (socket.getPeerCertificate().subject || { CN: 'none' }).CN);
    socket.on('error', (error) => console.log('failed', error.message));
    socket.pipe(socket);
  });
  for (const name of (options.names || '').split(',').filter(Boolean)) {
    server.addContext(`${name}.test`, identity(name));
  }
  server.on('tlsClientError', (error) => console.log('failed', error.message));
  server.listen(0, '127.0.0.1', () => console.log('listening', server.address().port));
}

if (process.argv[2] === 'server') runServer();
else runClient();
