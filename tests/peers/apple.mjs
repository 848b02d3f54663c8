// A fake of Apple's push service: HTTP/2 over TLS, provider tokens verified with the public key.
//
// Usage: node apple.mjs CERT KEY PUBLIC_KEY. Prints its port, then every request as one line of JSON. The variable
// REASONS (JSON) maps device tokens to responses: status, reason, headers. For other devices the first digits of the
// token decide: 111 closes the connection, 222 never responds, 333 sends GOAWAY once before it handles the request,
// 444 refuses the stream, 555 reports every provider token as expired, 666 only the first one. Everything else is
// accepted.

import http2 from "node:http2";
import { createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";

const [cert, key, publicKey] = process.argv.slice(2).map((file) => readFileSync(file));
const verifier = { key: createPublicKey(publicKey), dsaEncoding: "ieee-p1363" };
const server = http2.createSecureServer({ cert, key, allowHTTP1: false });
const REASONS = JSON.parse(process.env.REASONS ?? "{}");
const refusedTokens = new Set();
let goneAway = false;

const read = (part) => JSON.parse(Buffer.from(part, "base64url").toString());

function tokenError(authorization) {
  const [, token] = /^bearer (\S+)$/i.exec(authorization ?? "") ?? [];
  if (!token) return [403, "MissingProviderToken"];
  const [header, claims, signature] = token.split(".");
  const signed = Buffer.from(`${header}.${claims}`);
  const valid = verify("sha256", signed, verifier, Buffer.from(signature, "base64url"));
  if (!valid || read(header).alg !== "ES256" || read(claims).iss !== "DEF123GHIJ" || read(header).kid !== "ABC123DEFG") {
    return [403, "InvalidProviderToken"];
  }
  return refusedTokens.has(token) ? [403, "ExpiredProviderToken"] : null;
}

function respond(stream, headers, body) {
  const device = headers[":path"].split("/").pop();
  const code = device.slice(0, 3);
  const request = { path: headers[":path"], headers: { ...headers }, body };
  process.stdout.write(JSON.stringify(request) + "\n");
  const token = headers.authorization?.slice(7);
  if (code === "555" || (code === "666" && refusedTokens.size === 0)) refusedTokens.add(token);
  const error = tokenError(headers.authorization);
  const reply = (status, reason, more = {}) => {
    stream.respond({ ":status": status, "apns-id": headers["apns-id"], ...more });
    stream.end(reason ? JSON.stringify({ reason }) : undefined);
  };
  if (code === "111") return stream.session.destroy();
  if (code === "222") return undefined;
  if (code === "333" && !goneAway) {
    goneAway = true;
    return stream.session.goaway(http2.constants.NGHTTP2_NO_ERROR, stream.id - 2);
  }
  if (code === "444") return stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
  if (error) return reply(...error);
  const configured = REASONS[device];
  if (configured) return reply(configured[0], configured[1], configured[2] ?? {});
  return reply(200);
}

server.on("stream", (stream, headers) => {
  let body = "";
  stream.on("error", () => {});
  stream.on("data", (part) => (body += part));
  stream.on("end", () => respond(stream, headers, body));
});
server.on("sessionError", () => {});
server.listen(0, "127.0.0.1", () => process.stdout.write(`${server.address().port}\n`));
process.stdin.on("end", () => process.exit(0)).resume();
