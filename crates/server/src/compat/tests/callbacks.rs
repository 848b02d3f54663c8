//! Callbacks from acceptance to a real local receiver: in order, and until the receiver confirms them.

use super::*;
use postrider_engine::events;
use postrider_providers::testing::http_stub::{HttpStub, response};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Longest time until a callback arrives.
const PATIENCE: Duration = Duration::from_secs(20);

/// A receiver that answers the nth call with the nth answer, and reports each request.
struct Receiver {
    stub: HttpStub,
    requests: mpsc::UnboundedReceiver<String>,
}

impl Receiver {
    async fn start(answers: Vec<(u16, &'static str)>) -> Self {
        let (sender, requests) = mpsc::unbounded_channel();
        let stub = HttpStub::scripted(move |number, request| {
            sender.send(request.to_owned()).unwrap();
            let (status, body) = answers[(number - 1).min(answers.len() - 1)];
            response(status, "", body)
        })
        .await;
        Self { stub, requests }
    }

    async fn next(&mut self) -> String {
        tokio::time::timeout(PATIENCE, self.requests.recv()).await.unwrap().unwrap()
    }
}

/// Sends a message, reports it as delivered, and sends its callbacks until the stop sender is dropped.
async fn send_and_deliver(server: &TestServer, path: &str) -> watch::Sender<bool> {
    let response = get(server, path).await;
    assert!(response.status.is_success(), "{}", response.text());
    server.deliver_all().await;
    let query = postrider_store::MessageQuery { limit: 1, ..Default::default() };
    let messages = server.gateway.store.search(query).await.unwrap().messages;
    let delivery = &messages[0].deliveries[0];
    let report = format!("delivered {}", delivery.reference.as_deref().unwrap());
    let receipt = Request::post(format!("/v1/receipts/{}", delivery.provider.as_ref().unwrap()));
    let receipt = receipt.header("x-secret", "sesame").body(Body::from(report)).unwrap();
    assert_eq!(send(server, receipt).await.status, 200);
    let (stop, stop_signal) = watch::channel(false);
    tokio::spawn(events::run(Arc::clone(&server.gateway), stop_signal));
    stop
}

fn request_line(request: &str) -> &str {
    request.lines().next().unwrap()
}

async fn server_with_fast_retries() -> TestServer {
    server_with(|config| config.events.retry_schedule = vec![Duration::from_millis(10); 5]).await
}

#[tokio::test]
async fn reports_of_kannel_arrive_in_order_and_again_after_an_error() {
    let mut receiver = Receiver::start(vec![(500, ""), (202, "")]).await;
    let server = server_with_fast_retries().await;
    let url = format!(
        "http%3A%2F%2F{}%2Fdlr%3Fd%3D%25d%26a%3D%25k%26p%3D%25p%26P%3D%25P%26n%3D%25n",
        receiver.stub.address
    );
    let path =
        format!("/cgi-bin/sendsms?user=u&pass=p&from=Acme&to=09122222222&text=hi&dlr-mask=31&dlr-url={url}");
    let _stop = send_and_deliver(&server, &path).await;
    let accepted = "GET /dlr?d=8&a=ACK%2F&p=09122222222&P=Acme&n=u HTTP/1.1";
    for expected in [accepted, accepted] {
        assert_eq!(request_line(&receiver.next().await), expected);
    }
    let delivered = receiver.next().await;
    assert!(request_line(&delivered).starts_with("GET /dlr?d=1&a=id%3Aref-"), "{delivered}");
}

/// The recorded request of Kannel 1.4.5, its answer, and its first report.
#[tokio::test]
async fn the_recorded_request_of_kannel_has_the_recorded_answer_and_report() {
    let mut receiver = Receiver::start(vec![(200, "")]).await;
    let server = server_with(|_| {}).await;
    let url = format!(
        "http%3A%2F%2F{}%2Fdlr%3Fmy%3D42%26d%3D%25d%26a%3D%25a%26p%3D%25p%26P%3D%25P%26F%3D%25F%26n%3D%25n%26o%3D%25o",
        receiver.stub.address
    );
    let path = format!(
        "/cgi-bin/sendsms?user=u&pass=p&from=Acme&to=15005550001&text=hi+there&dlr-mask=31&dlr-url={url}"
    );
    let _stop = send_and_deliver(&server, &path).await;
    let accepted = receiver.next().await;
    let expected = "GET /dlr?my=42&d=8&a=ACK%2F&p=15005550001&P=Acme&F=ref-64&n=u&o= HTTP/1.1";
    assert_eq!(request_line(&accepted), expected);
    let delivered = receiver.next().await;
    let begin = "GET /dlr?my=42&d=1&a=id%3Aref-64+sub%3A001+dlvrd%3A001+submit+date%3A";
    let end = "+stat%3ADELIVRD+err%3A000+text%3A&p=15005550001&P=Acme&F=ref-64&n=u&o= HTTP/1.1";
    assert!(request_line(&delivered).starts_with(begin), "{delivered}");
    assert!(request_line(&delivered).ends_with(end), "{delivered}");
}

#[tokio::test]
async fn receipts_of_jasmin_are_repeated_until_they_are_acknowledged() {
    let mut receiver = Receiver::start(vec![(200, "OK"), (200, "ACK/Jasmin")]).await;
    let server = server_with_fast_retries().await;
    let url = format!("http%3A%2F%2F{}%2Fdlr", receiver.stub.address);
    let path = format!(
        "/send?username=u&password=p&to=09122222222&content=hi&dlr-level=3&dlr-method=get&dlr-url={url}"
    );
    let _stop = send_and_deliver(&server, &path).await;
    for level in [
        "&level=1&message_status=ESME_ROK&",
        "&level=1&message_status=ESME_ROK&",
        "&level=2&message_status=DELIVRD&",
    ] {
        let request = receiver.next().await;
        assert!(request_line(&request).contains(level), "{request}");
    }
}
