//! The Postrider configuration that uses a sandbox server, printed at its start.
//!
//! Valid as a whole file. Comments show the commands for counters and faults.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::api::SandboxApi;
use super::twilio::{ACCOUNT_SID, AUTH_TOKEN, FROM};

/// Returns a configuration with one provider for each API on the channel `sms`.
///
/// `token` authenticates the receipts of the simple API.
pub(super) fn render(address: SocketAddr, gateway_url: &str, token: &str) -> String {
    let base = format!("http://{}", replace_unspecified_ip(address));
    let [simple, texting, twilio] = SandboxApi::ALL.map(SandboxApi::provider_name);
    format!(
        r#"# console.toml for the sandbox server at {base}. Test numbers: console sandbox --help
# Counters:  curl {base}/counters
# Faults:    curl -X PUT {base}/faults -d '{{"fault":"hang","calls":5}}'
#            faults: hang, garbage, slow, reset, throttle; optional: "api", "calls", "seconds", "retry_after"
#            curl -X DELETE {base}/faults

[channels.sms]
providers = ["{simple}", "{texting}", "{twilio}"]
# Do not repeat attempts with unknown outcome; "resend" repeats them.
unknown = "hold"

# The API of system A: GET, any 2xx is a success. Only the sandbox server has callback_url, for receipts.
[providers.{simple}]
kind = "http"
url = "{base}/sms/send/?number={{spelling}}&body={{body}}&callback_url={{callback_url}}%3Ftoken%3D{token}"
address = "phone"
reference = "json:Data.0.id"
reason = "json:Message.0"
[[providers.{simple}.rules]]
status = "400"
body = "wrong number"
outcome = "invalid_recipient"
[providers.{simple}.receipts]
reference = "form:id"
status = "form:status"
delivered = ["delivered"]
bounced = ["failed"]
invalid = ["invalid"]
token = "{token}"

# The API of system C: POST, receipts to /messages/delivery_status with the token in {{delivery_status_url}}.
[providers.{texting}]
kind = "http"
url = "{base}/messages"
json = {{ to_number = "{{spelling}}", message = "{{body}}", callback_url = "{{delivery_status_url}}" }}
address = "phone"
reference = "json:message_id"
receipts = "texting"
reason = "json:error"
[[providers.{texting}.rules]]
status = "400"
body = "json:status=invalid"
outcome = "invalid_recipient"

# The API of Twilio. Postrider sends no StatusCallback if public_url is not a public host name; receipts then go to
# {gateway_url}/v1/receipts/{twilio} (--gateway-url).
[providers.{twilio}]
kind = "twilio"
base_url = "{base}"
account_sid = "{ACCOUNT_SID}"
auth_token = "{AUTH_TOKEN}"
from = "{FROM}"
"#
    )
}

/// Returns the address that clients on this host connect to: loopback instead of `0.0.0.0` and `[::]`.
fn replace_unspecified_ip(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests;
