//! Tests of the hint about a wrong `public_url`.

use async_trait::async_trait;

use super::*;
use crate::tests::TestServer;
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::inbound::CallbackItem;
use postrider_providers::{OutboundMessage, Provider};

/// Verifies callbacks to one URL only, as a provider that signs the URL does.
struct UrlSigningProvider;

const SIGNED_URL: &str = "https://gw.example.org/v1/receipts/mock-red?a=1";

#[async_trait]
impl Provider for UrlSigningProvider {
    async fn send(&self, _: &OutboundMessage) -> SendResult {
        Outcome::Accepted { reference: None }.into()
    }

    async fn parse_callback(&self, request: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        match request.url == SIGNED_URL {
            true => Ok(Vec::new()),
            false => Err(CallbackError::Unauthenticated),
        }
    }

    fn callback_mode(&self) -> CallbackMode {
        CallbackMode::Authenticated
    }

    fn endpoint(&self) -> (String, u16) {
        ("signing".to_owned(), 0)
    }
}

#[tokio::test]
async fn the_public_url_that_fits_the_signature_is_found() {
    let server = TestServer::with_provider(Arc::new(UrlSigningProvider)).await;
    let runtime = &server.gateway.providers()[0];
    for (headers, fitting) in [
        (&[("host", "gw.example.org")][..], Some("https://gw.example.org")),
        (
            &[("host", "10.0.0.1:8080"), ("x-forwarded-host", "gw.example.org, proxy")],
            Some("https://gw.example.org"),
        ),
        (&[("host", "gw.example.org:8443")], None),
        (&[("host", "evil.example")], None),
    ] {
        let mut request = Request::post("/v1/receipts/mock-red?a=1");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let callback = provider_callback(&server.gateway, &head, Vec::new());
        let found = find_fitting_url(runtime, &callback, &head).await;
        assert_eq!(found.as_deref(), fitting, "{headers:?}");
    }
}

#[test]
fn the_same_hint_is_given_once() {
    let provider: ConfigName = "hint-once".parse().unwrap();
    let remembered = || WARNED_URLS.lock().iter().filter(|(name, _)| name == "hint-once").count();
    for _ in 0..3 {
        invalid_signature_problem(&provider, Some("https://gw.example.org"));
        assert_eq!(remembered(), 1);
    }
    invalid_signature_problem(&provider, Some("https://other.example.org"));
    assert_eq!(remembered(), 2);
}
