// Uses the gateway through the Node.js SDKs of Twilio and Vonage, with only their base URLs changed.
//
// Arguments: base URL, account SID, auth token, Vonage key, Vonage secret. Prints "ok" when every call was as the SDKs expect.

const assert = require("assert");
const twilioSdk = require("twilio");
const { Auth } = require("@vonage/auth");
const { Vonage } = require("@vonage/server-sdk");

const [baseUrl, sid, token, vonageKey, vonageSecret] = process.argv.slice(2);

async function codeOf(call) {
  try {
    await call();
  } catch (error) {
    return error.code;
  }
  throw new Error("the call succeeded");
}

async function twilio() {
  const client = twilioSdk(sid, token);
  client.api.baseUrl = baseUrl;
  const message = await client.messages.create({ to: "+989122222222", from: "Acme", body: "from node" });
  assert.strictEqual(message.status, "queued");
  const fetched = await client.messages(message.sid).fetch();
  assert.strictEqual(fetched.body, "from node");
  const listed = await client.messages.list({ limit: 3, pageSize: 1 });
  assert.ok(listed.length >= 1 && listed[0].sid.startsWith("SM"));
  assert.strictEqual(await codeOf(() => client.messages.create({ to: "12", from: "Acme", body: "x" })), 21211);
}

async function vonage() {
  const send = (auth, message) =>
    new Vonage(new Auth(auth), { restHost: baseUrl, apiHost: baseUrl }).sms.send(message);
  const login = { apiKey: vonageKey, apiSecret: vonageSecret };
  const answer = await send(login, { to: "989122222222", from: "Acme", text: "hi" });
  assert.strictEqual(answer.messages[0].status, "0");
  await assert.rejects(send(login, { to: "12", from: "Acme", text: "hi" }));
  await assert.rejects(send({ ...login, apiSecret: "wrong" }, { to: "989122222222", from: "Acme", text: "hi" }));
}

twilio()
  .then(vonage)
  .then(() => console.log("ok"))
  .catch((error) => {
    console.error(error);
    process.exitCode = 1;
  });
