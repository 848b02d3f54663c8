use std::net::SocketAddr;

use super::*;

async fn resolved_config(public_url: &str) -> Config {
    let mut config = Config::test_mode();
    config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.public_url = public_url.to_owned();
    let listener = bind_listener(config.listen).unwrap();
    set_listen_address(&mut config, local_address(&listener).unwrap());
    config
}

#[tokio::test]
async fn a_port_chosen_by_the_kernel_becomes_part_of_the_default_public_url() {
    let config = resolved_config("http://127.0.0.1:0").await;
    assert_ne!(config.listen.port(), 0);
    assert_eq!(config.public_url, format!("http://{}", config.listen));
}

#[tokio::test]
async fn a_configured_public_url_is_kept() {
    let config = resolved_config("https://sms.example.org").await;
    assert_eq!(config.public_url, "https://sms.example.org");
}

#[test]
fn concurrency_0_does_not_override_the_configuration() {
    let overrides_with = |concurrency| config_overrides(&ServeArgs { listen: None, concurrency });
    assert_eq!(overrides_with(Some(0)), []);
    assert_eq!(overrides_with(Some(7)), [("work.concurrency", "7".to_owned())]);
}
