//! The configuration that makes Postrider use the sandbox, ready to be pasted, or written to a file as it is.
//!
//! What is no configuration stands in comments: where faults are set and counters read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::api::SandboxApi;
use super::twilio::{ACCOUNT_SID, AUTH_TOKEN, FROM};

/// A whole configuration with the three wires as providers of the channel `sms`.
/// `token` is what the simple wire's receipts carry.
pub(super) fn render(at: SocketAddr, receipts_to: &str, token: &str) -> String {
    let base = format!("http://{}", replace_unspecified_ip(at));
    let [simple, texting, twilio] = SandboxApi::ALL.map(SandboxApi::provider_name);
    format!(
        r#"# console sandbox at {base}, for console.toml. Numbers with fates of their own: console sandbox --help
# Counters:  curl {base}/counters
# Faults:    curl -X PUT {base}/faults -d '{{"fault":"hang","calls":5}}'
#            hang, garbage, slow, refuse, throttle; with "wire", "calls", "seconds", "retry_after" where wanted
#            curl -X DELETE {base}/faults

[channels.sms]
providers = ["{simple}", "{texting}", "{twilio}"]
# Nobody knows whether a call that hung was sent; "resend" would send it again.
unknown = "hold"

# As system A has it: GET, any 2xx is a success. The callback_url is the sandbox's own, for receipts.
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

# As system C has it: POST, receipts to /messages/delivery_status with the token that {{delivery_status_url}} carries.
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

# Like Twilio. It names no callback where public_url is not a public name; receipts then go to
# {receipts_to}/v1/receipts/{twilio} (--receipts-to).
[providers.{twilio}]
kind = "twilio"
base_url = "{base}"
account_sid = "{ACCOUNT_SID}"
auth_token = "{AUTH_TOKEN}"
from = "{FROM}"
"#
    )
}

/// An address that stands for all of this machine's is no place to connect to.
fn replace_unspecified_ip(at: SocketAddr) -> SocketAddr {
    let address = match at.ip() {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        address => address,
    };
    SocketAddr::new(address, at.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use postrider_engine::config::{Config, Environment};
    use postrider_providers::ProviderSettings;

    #[test]
    fn what_is_printed_is_a_configuration_that_loads() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("console.toml");
        let text = render("0.0.0.0:8090".parse().unwrap(), "http://127.0.0.1:8080", "t-1");
        assert!(text.contains("base_url = \"http://127.0.0.1:8090\""), "{text}");
        std::fs::write(&file, &text).unwrap();
        let (config, oddities) = Config::load(Some(&file), &Environment::default(), &[]).unwrap();
        assert_eq!(oddities, Vec::<String>::new());
        assert_eq!(config.providers.len(), SandboxApi::ALL.len());
        for provider in &config.providers {
            ProviderSettings::read(&provider.kind, provider.settings.clone()).unwrap();
        }
    }
}
